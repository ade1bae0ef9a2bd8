//! A small file system in memory, where mounting is permitted.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A mounted file system of a size; unmounted when dropped.
pub(crate) struct SmallDisk(TempDir);

/// A file that takes space until it is dropped.
pub(crate) struct Ballast(PathBuf);

impl SmallDisk {
    /// Mounts one. Says loudly when that is not permitted.
    pub(crate) fn mount(mib: u64) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs"]).arg(folder.path());
        let mounted = mount.output();
        if mounted.as_ref().is_ok_and(|output| output.status.success()) {
            return Some(Self(folder));
        }
        // Straight to the terminal: what a passing test prints is not shown.
        let _ =
            writeln!(std::io::stderr(), "SKIPPED: full disks are not tried, mounting is not permitted: {mounted:?}");
        None
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes all space but for some KiB.
    pub(crate) fn fill(&self, leave_kib: u64) -> Ballast {
        let path = self.path().join("ballast");
        let mut file = File::create(&path).expect("created");
        let block = vec![1; 4_096];
        while file.write_all(&block).is_ok() {}
        let length = file.metadata().expect("there").len();
        file.set_len(length.saturating_sub(leave_kib * 1_024)).expect("shorter");
        Ballast(path)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // What is left mounted is small, and gone with the machine.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

impl Drop for Ballast {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
