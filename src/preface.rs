//! The first bytes of an HTTP/2 connection, read apart: who never sends them must not keep a connection for nothing.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What every client says first.
pub(crate) const PREFACE: &[u8; PREFACE_BYTES] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Its length.
pub(crate) const PREFACE_BYTES: usize = 24;

pin_project! {
    /// A stream whose first bytes were read already, and are read again.
    pub(crate) struct Begun<I> {
        pub(crate) preface: [u8; PREFACE_BYTES],
        // How many of them were read again.
        pub(crate) read: usize,
        #[pin]
        pub(crate) stream: I,
    }
}

impl<I: AsyncRead> AsyncRead for Begun<I> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.project();
        let rest = this.preface.get(*this.read..).unwrap_or_default();
        if rest.is_empty() {
            return this.stream.poll_read(context, into);
        }
        let taken = rest.get(..into.remaining()).unwrap_or(rest);
        into.put_slice(taken);
        *this.read += taken.len();
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite> AsyncWrite for Begun<I> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.project().stream.poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.project().stream.poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_shutdown(context)
    }
}
