//! Who calls what: functions with their accounts, times and memory, and the calls.
//! Drawn from published distributions of a real cloud, or listed for a test.

use std::{fmt, path::Path};

use decide::Dice;
use model::{AccountId, FunctionName, Now, PoolKey, Span};

/// Functions of one account.
const FUNCTIONS_PER_ACCOUNT: usize = 50;
/// A burst has at most so many calls.
const BATCH_MAX: f64 = 100.0;
/// Inits are drawn evenly by their logarithm between these.
const INIT_MS: (f64, f64) = (50.0, 800.0);
const DAY_SECS: f64 = 86_400.0;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Function {
    pub account: u32,
    pub init: Span,
    pub run: Span,
    pub memory_mb: u32,
    /// Bursts per second.
    pub rate: f64,
    /// Calls of one burst, on average.
    pub batch: f64,
}

impl Function {
    pub(super) fn account(&self) -> AccountId {
        let text = format!("{:012}", self.account);
        AccountId::parse(&text).unwrap_or_else(|| unreachable!("twelve digits"))
    }

    pub(super) fn name(number: u32) -> FunctionName {
        let text = format!("f{number}");
        FunctionName::parse(&text).unwrap_or_else(|_| unreachable!("{text} is a name"))
    }

    pub(super) fn key(&self, number: u32) -> PoolKey {
        PoolKey {
            memory_mb: self.memory_mb,
            ..PoolKey::plain(self.account(), Function::name(number))
        }
    }
}

#[derive(Clone, Debug, Default)]
pub struct Population {
    pub functions: Vec<Function>,
}

/// Values with the share of functions at or below each.
#[derive(Clone, Debug)]
struct Cdf(Vec<(f64, f64)>);

impl Cdf {
    /// Lines of `value,share`, rising; a heading and further columns are passed over.
    fn parse(text: &str) -> Option<Cdf> {
        let row = |line: &str| {
            let mut fields = line.split(',').map(str::trim);
            Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
        };
        let rows: Vec<(f64, f64)> = text.lines().filter_map(row).collect();
        (!rows.is_empty()).then_some(Cdf(rows))
    }

    fn draw(&self, dice: &mut Dice) -> f64 {
        let share = even(dice);
        let at = self.0.partition_point(|(_, below)| *below < share);
        self.0[at.min(self.0.len() - 1)].0
    }
}

/// Evenly in (0, 1].
fn even(dice: &mut Dice) -> f64 {
    ((dice.roll() >> 11) + 1) as f64 / (1_u64 << 53) as f64
}

/// What functions of a real cloud are like: the Azure 2019 trace, as cumulative
/// distributions over functions.
#[derive(Clone, Debug)]
pub struct Distributions {
    invokes_per_day: Cdf,
    run_ms: Cdf,
    memory_mb: Cdf,
    /// Coefficient of variation of the time between calls.
    variation: Cdf,
}

/// A file of the distributions could not be used.
#[derive(Debug)]
pub struct BadDistribution(pub String);

impl fmt::Display for BadDistribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "reading distributions: {}", self.0)
    }
}

impl std::error::Error for BadDistribution {}

impl Distributions {
    /// `invokesCDF.csv`, `execTimeCDF.csv`, `memCDF.csv` and `CVs.csv` of a folder.
    pub fn read(folder: &Path) -> Result<Distributions, BadDistribution> {
        let read = |name: &str| {
            let path = folder.join(name);
            let bad =
                |why: &dyn fmt::Display| BadDistribution(format!("{}: {why}", path.display()));
            let text = std::fs::read_to_string(&path).map_err(|error| bad(&error))?;
            Cdf::parse(&text).ok_or_else(|| bad(&"no lines of value,share"))
        };
        Ok(Distributions {
            invokes_per_day: read("invokesCDF.csv")?,
            run_ms: read("execTimeCDF.csv")?,
            memory_mb: read("memCDF.csv")?,
            variation: read("CVs.csv")?,
        })
    }

    /// A few steps of the same shape, for runs without the files.
    pub fn rough() -> Distributions {
        let cdf = |rows: &[(f64, f64)]| Cdf(rows.to_vec());
        let calls = [(3.0, 0.25), (74.0, 0.5), (584.0, 0.75), (4_504.0, 0.9)];
        let more = [(20_132.0, 0.95), (333_222.0, 0.99), (5_334_114.0, 1.0)];
        Distributions {
            invokes_per_day: cdf(&[&calls[..], &more[..]].concat()),
            run_ms: cdf(&[(125.0, 0.25), (670.0, 0.5), (3_120.0, 0.75), (16_555.0, 1.0)]),
            memory_mb: cdf(&[(120.0, 0.25), (140.0, 0.5), (185.0, 0.75), (405.0, 1.0)]),
            variation: cdf(&[(0.02, 0.25), (0.5, 0.5), (2.0, 0.75), (9.0, 1.0)]),
        }
    }
}

impl Population {
    /// `count` functions whose rates are scaled together, so that on average `busy`
    /// environments run.
    pub fn draw(from: &Distributions, count: usize, busy: f64, dice: &mut Dice) -> Population {
        let accounts = count.div_ceil(FUNCTIONS_PER_ACCOUNT) as u64;
        let function = |_| {
            let variation = from.variation.draw(dice);
            // Bursts of random size that come at random have this variation.
            let batch = ((variation * variation + 1.0) / 2.0).clamp(1.0, BATCH_MAX);
            let (low, high) = (INIT_MS.0.ln(), INIT_MS.1.ln());
            let init_ms = (low + (high - low) * even(dice)).exp();
            Function {
                account: dice.below(accounts) as u32,
                init: Span((init_ms * 1_000.0) as u64),
                run: Span((from.run_ms.draw(dice).clamp(1.0, 900_000.0) * 1_000.0) as u64),
                memory_mb: (from.memory_mb.draw(dice) as u32).max(128),
                rate: from.invokes_per_day.draw(dice) / DAY_SECS / batch,
                batch,
            }
        };
        let mut functions: Vec<Function> = (0..count).map(function).collect();
        let run_secs = |f: &Function| f.run.as_micros() as f64 / 1e6;
        let wanted: f64 = functions.iter().map(|f| f.rate * f.batch * run_secs(f)).sum();
        for function in &mut functions {
            function.rate *= busy / wanted.max(f64::MIN_POSITIVE);
        }
        Population { functions }
    }
}

/// When which function is called.
#[derive(Clone, Debug)]
pub enum Arrivals {
    /// By the rates of the functions, in random bursts, for so long.
    Drawn(Span),
    /// As listed, by rising instants.
    Listed(Vec<(Now, u32)>),
}

/// Calls one after the other, so that none is held before its time.
pub(super) enum Source<'a> {
    Drawn { sums: Vec<f64>, batches: Vec<f64>, until: Now, dice: Dice, left: (u64, u32) },
    Listed(std::slice::Iter<'a, (Now, u32)>),
}

impl<'a> Source<'a> {
    pub(super) fn new(population: &Population, from: &'a Arrivals, dice: Dice) -> Source<'a> {
        match from {
            Arrivals::Listed(calls) => Source::Listed(calls.iter()),
            Arrivals::Drawn(span) => {
                let mut sum = 0.0;
                let sums = population.functions.iter().map(|f| {
                    sum += f.rate;
                    sum
                });
                let sums = sums.collect();
                let batches = population.functions.iter().map(|f| f.batch).collect();
                Source::Drawn { sums, batches, until: Now(0) + *span, dice, left: (0, 0) }
            }
        }
    }

    /// The call after one at `now`.
    pub(super) fn next(&mut self, now: Now) -> Option<(Now, u32)> {
        match self {
            Source::Listed(calls) => calls.next().copied(),
            Source::Drawn { sums, batches, until, dice, left } => {
                if left.0 > 0 {
                    left.0 -= 1;
                    return Some((now, left.1));
                }
                let whole = *sums.last()?;
                let pause = -even(dice).ln() / whole * 1e6;
                let at = now + Span(pause as u64);
                let drawn = even(dice) * whole;
                let function = sums.partition_point(|sum| *sum < drawn).min(sums.len() - 1);
                // Geometric with the function's mean.
                let stop = 1.0 / batches[function];
                let more = (even(dice).ln() / (1.0 - stop).max(1e-9).ln()).floor();
                let more = if stop >= 1.0 { 0.0 } else { more.min(10.0 * BATCH_MAX) };
                *left = (more as u64, function as u32);
                (at < *until).then_some((at, function as u32))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_gives_back_its_shares() {
        let cdf = Cdf::parse("length,F(x)\n1,0.25\n5, 0.75\n9,1.0\n").unwrap();
        let mut dice = Dice::new(1);
        let drawn: Vec<f64> = (0..10_000).map(|_| cdf.draw(&mut dice)).collect();
        let share = |value: f64| drawn.iter().filter(|v| **v == value).count();
        assert!((2_300..2_700).contains(&share(1.0)), "{}", share(1.0));
        assert!((4_800..5_200).contains(&share(5.0)));
        assert!(Cdf::parse("nothing\n").is_none());
    }

    #[test]
    fn a_population_asks_for_the_load_it_was_scaled_to() {
        let mut dice = Dice::new(3);
        let population = Population::draw(&Distributions::rough(), 5_000, 400.0, &mut dice);
        let arrivals = Arrivals::Drawn(Span::secs(1_000));
        let mut source = Source::new(&population, &arrivals, dice);
        let (mut now, mut busy_secs) = (Now(0), 0.0);
        while let Some((at, function)) = source.next(now) {
            now = at;
            busy_secs += population.functions[function as usize].run.as_micros() as f64 / 1e6;
        }
        let busy = busy_secs / 1_000.0;
        assert!((300.0..500.0).contains(&busy), "{busy} busy on average");
    }
}
