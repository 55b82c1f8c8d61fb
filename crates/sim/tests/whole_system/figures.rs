//! Scenes of what operators read on `GET /metrics`: each call counts once, as what it was,
//! and when it ended.

use std::time::Duration;

use serde_json::json;
use sim::whole::{World, on_paused_clock};

/// The value of one series of function `f`.
fn of_f(page: &str, name: &str) -> f64 {
    let series = format!(r#"{name}{{account="000000000001",function="f",qualifier="$LATEST"}} "#);
    let line = page.lines().find_map(|line| line.strip_prefix(&series));
    line.unwrap_or_else(|| panic!("{series} is not in\n{page}")).parse().unwrap()
}

#[test]
fn every_call_counts_once_as_what_it_was() {
    on_paused_clock(async {
        let world = World::start(31).await;
        world.create("f", 3, Some(2)).await;
        assert_eq!(world.invoke("f", json!({"ms": 20})).await.status, 200);
        let together = world.invoke_all("f", vec![json!({"ms": 1000}); 5]).await;
        assert_eq!(together.iter().filter(|answer| answer.status == 429).count(), 3);
        assert!(world.invoke("f", json!({"exit": 1})).await.function_error());
        let page = world.metrics(0).await;
        let of_f = |name| of_f(&page, name);
        assert_eq!(of_f("lambent_invocations_total"), 4.0);
        assert_eq!(of_f("lambent_errors_total"), 1.0);
        assert_eq!(of_f("lambent_throttles_total"), 3.0);
        assert_eq!(of_f("lambent_cold_starts_total"), 2.0);
        assert_eq!(of_f("lambent_concurrent_executions"), 0.0);
        assert_eq!(of_f("lambent_duration_ms_count"), 4.0);
        assert!((of_f("lambent_duration_ms_sum") - 2_020.0).abs() < 20.0, "{page}");
        let reason = r#"reason="ReservedFunctionConcurrentInvocationLimitExceeded"} 3"#;
        assert!(page.contains(reason), "{page}");
    });
}

/// The handler runs on when nobody waits for it, and so it counts.
#[test]
fn a_call_whose_caller_went_away_executes_until_it_ends_and_counts() {
    on_paused_clock(async {
        let world = World::start(32).await;
        world.create("f", 10, None).await;
        let call = world.try_invoke(0, "f", r#"{"ms": 4000}"#, &[]);
        assert!(tokio::time::timeout(Duration::from_secs(1), call).await.is_err());
        let page = world.metrics(0).await;
        assert_eq!(of_f(&page, "lambent_concurrent_executions"), 1.0);
        assert_eq!(of_f(&page, "lambent_invocations_total"), 0.0);
        tokio::time::sleep(Duration::from_secs(6)).await;
        let page = world.metrics(0).await;
        assert_eq!(of_f(&page, "lambent_concurrent_executions"), 0.0);
        assert_eq!(of_f(&page, "lambent_invocations_total"), 1.0);
    });
}
