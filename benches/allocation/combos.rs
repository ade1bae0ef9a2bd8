//! Which combinations of stream, constraint set and arrivals are run, and each made ready.

use std::fs;
use std::path::{Path, PathBuf};

use super::args::Args;
use super::bound::upper_bound;
use super::data::{Data, SETS, STREAMS, VARIANTS};
use super::dice::Dice;
use super::forecast::Forecast;
use super::instance::{Constraints, Failure, Instance, read_requests, write_requests};
use super::sets;

/// Where the constraints come from.
#[derive(Clone, Debug)]
enum Source {
    Shipped,
    File(PathBuf),
    Random(u64),
}

/// A stream under a set, in a variant of arrivals.
#[derive(Clone, Debug)]
pub(crate) struct Combo {
    pub(crate) stream: String,
    pub(crate) set: String,
    pub(crate) variant: String,
    source: Source,
}

/// A combination made ready.
pub(crate) struct Ready {
    pub(crate) combo: Combo,
    pub(crate) instance: Instance,
    /// What the program reads.
    pub(crate) requests: PathBuf,
    pub(crate) constraints: PathBuf,
    pub(crate) history: Option<PathBuf>,
    pub(crate) horizon: f64,
    /// The optimum, or an upper bound of it.
    pub(crate) optimum: f64,
    /// Whether the checker knows it.
    pub(crate) is_shipped: bool,
    /// Files that only this combination uses.
    made: Vec<PathBuf>,
}

impl Drop for Ready {
    fn drop(&mut self) {
        for file in &self.made {
            // A file that stays costs space and nothing else.
            let _ = fs::remove_file(file);
        }
    }
}

/// The combinations that the arguments ask for.
pub(crate) fn combos(args: &Args) -> Result<Vec<Combo>, Failure> {
    let mut all = Vec::new();
    let mut add = |stream: &str, set: &str, variant: &str, source: &Source| {
        let [stream, set, variant] = [stream, set, variant].map(str::to_owned);
        all.push(Combo { stream, set, variant, source: source.clone() });
    };
    if let Some(count) = args.random_sets {
        for number in 0..count {
            let mut dice = Dice::new(args.seed.wrapping_mul(1_000_003).wrapping_add(number));
            let at = usize::try_from(number)?;
            let variant = VARIANTS[dice.below(VARIANTS.len())];
            add(
                STREAMS[at % STREAMS.len()],
                &format!("random-{}-{number}", args.seed),
                variant,
                &Source::Random(number),
            );
        }
    } else if let Some(folder) = &args.sets {
        for (file, stream, set) in files(folder)? {
            for variant in VARIANTS {
                add(&stream, &set, variant, &Source::File(file.clone()));
            }
        }
    } else {
        for stream in STREAMS {
            for set in SETS {
                for variant in VARIANTS {
                    add(stream, set, variant, &Source::Shipped);
                }
            }
        }
    }
    if args.quick {
        all.retain(|combo| combo.variant == "real" || args.random_sets.is_some());
    }
    Ok(all)
}

fn files(folder: &Path) -> Result<Vec<(PathBuf, String, String)>, Failure> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let words: Vec<&str> = name.split('.').collect();
        if let [stream, set, "json"] = words[..]
            && STREAMS.contains(&stream)
        {
            found.push((path, stream.to_owned(), set.to_owned()));
        }
    }
    found.sort();
    if found.is_empty() {
        return Err(format!("no STREAM.NAME.json in {}", folder.display()).into());
    }
    Ok(found)
}

impl Combo {
    /// Its name in `reference.json` with a forecast.
    pub(crate) fn key(&self, forecast: &str) -> String {
        format!("{}|{}|{}|{forecast}", self.stream, self.set, self.variant)
    }

    /// The forecasts it is run with: those that the reference has for stream and variant, and that were asked for.
    pub(crate) fn forecasts(&self, args: &Args, data: &Data) -> Vec<String> {
        let mut forecasts = data.forecasts(&self.stream, &self.variant);
        if args.quick {
            forecasts.truncate(1);
        }
        forecasts.retain(|forecast| {
            let key = self.key(forecast);
            args.only.is_empty() || args.only.iter().any(|part| key.contains(part.as_str()))
        });
        forecasts
    }

    /// Makes it ready.
    pub(crate) fn ready(&self, args: &Args, data: &Data) -> Result<Ready, Failure> {
        let shipped_set = if matches!(self.source, Source::Shipped) { &self.set } else { SETS[0] };
        let prepared = data.prepare(&self.stream, shipped_set, &self.variant)?;
        let file = data.constraints(&self.stream, shipped_set);
        let shipped = Constraints::read(&file)?;
        let (constraints, drawn) = match &self.source {
            Source::Shipped => {
                let optimum = data.optimum(&self.stream, &self.set, &self.variant);
                return Ok(Ready {
                    combo: self.clone(),
                    instance: Instance::new(shipped, prepared.requests),
                    requests: prepared.file,
                    constraints: file,
                    history: prepared.history,
                    horizon: prepared.horizon,
                    optimum: optimum.ok_or_else(|| format!("no optimum of {}", self.key("")))?,
                    is_shipped: true,
                    made: Vec::new(),
                });
            }
            Source::File(file) => (file.clone(), Constraints::read(file)?),
            Source::Random(number) => {
                let mut dice = Dice::new(args.seed.wrapping_mul(7_919).wrapping_add(*number));
                let drawn = sets::draw(&shipped, &prepared.requests, &mut dice);
                let folder = data.cache().join("sets");
                fs::create_dir_all(&folder)?;
                let file = folder.join(format!("{}.{}.json", self.stream, self.set));
                drawn.write(&file)?;
                (file, drawn)
            }
        };
        if drawn.merchants() != shipped.merchants() {
            return Err(format!("{}: {} merchants", constraints.display(), drawn.merchants()).into());
        }
        let retilted = |name: &str, requests: &[_]| {
            let file = data.cache().join(format!("{}.{}.{}.{name}.jsonl", self.stream, self.set, self.variant));
            let requests = sets::retilted(requests, &drawn.merchant_tilt);
            write_requests(&file, &requests).map(|()| (file, requests))
        };
        let (requests, stream) = retilted("requests", &prepared.requests)?;
        let past = prepared.history.map(|file| retilted("history", &read_requests(&file)?).map(|(file, _)| file));
        let history = past.transpose()?;
        let instance = Instance::new(drawn, stream);
        let optimum = upper_bound(&instance);
        let made = history.iter().cloned().chain([requests.clone()]).collect();
        let (combo, horizon) = (self.clone(), prepared.horizon);
        Ok(Ready { combo, instance, requests, constraints, history, horizon, optimum, is_shipped: false, made })
    }
}

impl Ready {
    /// A forecast by its name in `reference.json`: as baselines take it, and as the program does.
    pub(crate) fn forecast(&self, name: &str, data: &Data) -> Result<(Forecast, String), Failure> {
        match name {
            "linear" => Ok((Forecast::Linear, "linear".to_owned())),
            "oracle" => Ok((Forecast::actual(&self.instance.requests), "actual".to_owned())),
            "profile" => {
                let (hours, file) = data.profile()?;
                let days = self.horizon / 86_400.0;
                Ok((Forecast::Profile { hours, days }, format!("profile:{}", file.display())))
            }
            other => Err(format!("no forecast {other}").into()),
        }
    }
}
