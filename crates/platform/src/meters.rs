//! The metrics of one process, and the page on which they are read (Prometheus's text
//! form). Roles get handles from here once and keep them: what they add on the path of
//! a call is one atomic addition. What is only known when asked (how many environments
//! are idle) is asked for when the page is read, so that nothing is counted for nobody.
//!
//! Not a global: several processes of a simulation have one each. The names of metrics
//! are functions in the `metrics.rs` of the crate that knows their meaning.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use metrics::{Key, KeyName, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};
use tokio::sync::oneshot;

use crate::{Clock, TaskKind, Tasks, limits, metrics as own};

pub use metrics::{Counter, Gauge, Histogram};

const METADATA: Metadata<'static> = Metadata::new("lambent", Level::INFO, None);

/// Of the page.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A label's name and value.
pub type Labelled<'a> = (&'static str, &'a str);

#[derive(Clone)]
pub struct Meters {
    inner: Arc<Inner>,
}

struct Inner {
    recorder: PrometheusRecorder,
    samplers: Mutex<Vec<Sampler>>,
}

type Sampler = Box<dyn Fn(Asked) + Send + Sync>;

/// The page waits for the values; dropped when they are set.
#[derive(Debug)]
pub struct Asked(#[expect(dead_code, reason = "its drop is the answer")] oneshot::Sender<()>);

impl fmt::Debug for Meters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meters").finish_non_exhaustive()
    }
}

impl Default for Meters {
    fn default() -> Meters {
        let builder = PrometheusBuilder::new();
        // Refused only where there are none.
        let builder = builder.set_buckets(&limits::HISTOGRAM_BUCKETS_MS);
        let recorder = builder.unwrap_or_default().build_recorder();
        Meters { inner: Arc::new(Inner { recorder, samplers: Mutex::default() }) }
    }
}

impl Meters {
    /// The same handle for the same name and labels.
    pub fn counter(&self, name: &'static str, help: &'static str, of: &[Labelled<'_>]) -> Counter {
        let recorder = &self.inner.recorder;
        recorder.describe_counter(KeyName::from_const_str(name), None, help.into());
        recorder.register_counter(&key(name, of), &METADATA)
    }

    pub fn gauge(&self, name: &'static str, help: &'static str, of: &[Labelled<'_>]) -> Gauge {
        let recorder = &self.inner.recorder;
        recorder.describe_gauge(KeyName::from_const_str(name), None, help.into());
        recorder.register_gauge(&key(name, of), &METADATA)
    }

    /// Of milliseconds, in `limits::HISTOGRAM_BUCKETS_MS`.
    pub fn histogram(
        &self,
        name: &'static str,
        help: &'static str,
        of: &[Labelled<'_>],
    ) -> Histogram {
        let recorder = &self.inner.recorder;
        recorder.describe_histogram(KeyName::from_const_str(name), None, help.into());
        recorder.register_histogram(&key(name, of), &METADATA)
    }

    /// `sampler` is called whenever the page is read, and sets its gauges before it drops
    /// what it was given. One that takes longer than `limits::SAMPLE_TTL` is not waited
    /// for: the page then shows its values of before.
    pub fn sample_with(&self, sampler: impl Fn(Asked) + Send + Sync + 'static) {
        self.samplers().push(Box::new(sampler));
    }

    /// Everything as of now.
    pub async fn page(&self) -> String {
        let answers: Vec<_> = {
            let samplers = self.samplers();
            let ask = |sampler: &Sampler| {
                let (asked, answer) = oneshot::channel();
                sampler(Asked(asked));
                answer
            };
            samplers.iter().map(ask).collect()
        };
        let all = async {
            for answer in answers {
                // Nothing is ever sent: the end of the sender is the answer.
                let _ = answer.await;
            }
        };
        if tokio::time::timeout(limits::SAMPLE_TTL.to_std(), all).await.is_err() {
            tracing::warn!("a role was too busy to say its metrics");
        }
        for (invariant, count) in model::invariant::broken_counts() {
            if count > 0 || model::invariant::ALL.contains(&invariant) {
                own::broken_invariants_total(self, invariant).absolute(count);
            }
        }
        sorted(&self.inner.recorder.handle().render())
    }

    /// Samples of histograms are gathered now and then, whether or not anybody reads.
    pub fn keep(&self, clock: Clock, tasks: &Tasks) {
        let handle = self.inner.recorder.handle();
        tasks.spawn(TaskKind::Background, "upkeep of metrics", async move {
            loop {
                clock.sleep_until(clock.now() + limits::UPKEEP_PERIOD).await;
                handle.run_upkeep();
            }
        });
    }

    fn samplers(&self) -> std::sync::MutexGuard<'_, Vec<Sampler>> {
        self.inner.samplers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(name: &'static str, of: &[Labelled<'_>]) -> Key {
    let label = |(name, value): &Labelled<'_>| Label::new(*name, (*value).to_owned());
    Key::from_parts(name, of.iter().map(label).collect::<Vec<_>>())
}

/// Metric after metric in the order of their names, for people.
fn sorted(page: &str) -> String {
    let mut metrics: Vec<&str> = page.split("\n\n").filter(|part| !part.is_empty()).collect();
    let name = |part: &&str| part.split_whitespace().nth(2).map(str::to_owned);
    metrics.sort_by_cached_key(name);
    let mut page = metrics.join("\n\n");
    page.push('\n');
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_page_shows_what_was_counted_and_what_is_asked_for() {
        let meters = Meters::default();
        let calls = meters.counter("calls_total", "Calls.", &[("function", "f")]);
        calls.increment(2);
        meters.counter("calls_total", "Calls.", &[("function", "f")]).increment(1);
        let idle = meters.gauge("idle", "Idle now.", &[]);
        let took = meters.histogram("took_ms", "Time.", &[]);
        took.record(3.0);
        meters.sample_with(move |asked| {
            idle.set(7.0);
            drop(asked);
        });
        let page = meters.page().await;
        for line in [
            "# HELP calls_total Calls.",
            "# TYPE calls_total counter",
            "calls_total{function=\"f\"} 3",
            "idle 7",
            "took_ms_bucket{le=\"2\"} 0",
            "took_ms_bucket{le=\"5\"} 1",
            "took_ms_sum 3",
            "lambent_broken_invariants_total{invariant=\"I1\"} 0",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
        }
        let at = |text: &str| page.find(text).unwrap();
        assert!(at("# TYPE calls_total") < at("# TYPE idle"), "in order");
    }

    #[tokio::test(start_paused = true)]
    async fn a_role_that_does_not_answer_keeps_no_page_back() {
        let meters = Meters::default();
        let kept = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&kept);
        meters.sample_with(move |asked| keep.lock().unwrap().push(asked));
        meters.gauge("idle", "Idle now.", &[]).set(1.0);
        assert!(meters.page().await.contains("idle 1"));
        assert_eq!(kept.lock().unwrap().len(), 1, "it was asked");
    }
}
