//! Fills this process's copy of the feed: asks for what was committed after what it
//! knows, and asks again with the answer. An answer that is lost is asked for again
//! from the same position, so nothing is missed and nothing told twice.

use std::sync::Weak;

use tokio::sync::oneshot;
use wire::store::{Position, StoreAnswer};

use super::{
    CONFUSED, SILENT,
    line::{Fault, Line},
};
use crate::{feed::Feed, translate, txn::Revision};

/// Until the engine is closed.
pub(super) async fn run(feed: Weak<Feed>, line: Line, closed: oneshot::Receiver<()>) {
    tokio::select! {
        () = fill(&feed, &line) => {}
        _ = closed => {}
    }
}

async fn fill(feed: &Weak<Feed>, line: &Line) {
    let mut known: Option<Position> = None;
    let mut pauses = line.pauses();
    loop {
        let answer = line.changes(known).await;
        let Some(feed) = feed.upgrade() else { return };
        match answer.map_err(describe).and_then(|answer| take(&feed, known, answer)) {
            Ok(position) => {
                if !pauses.are_new() {
                    tracing::info!("metadata is followed again");
                }
                (known, pauses) = (Some(position), line.pauses());
            }
            Err(reason) => {
                drop(feed);
                if pauses.are_new() {
                    tracing::warn!(reason, "metadata cannot be followed: what is known stays");
                }
                pauses.rest().await;
            }
        }
    }
}

fn take(feed: &Feed, known: Option<Position>, answer: StoreAnswer) -> Result<Position, String> {
    if let StoreAnswer::Begin(begin) = answer {
        let other_life = known.is_some_and(|known| known.life != begin.life);
        feed.restart(Revision(begin.revision), other_life);
        return Ok(begin);
    }
    let (StoreAnswer::Changed { life, commits }, Some(known)) = (answer, known) else {
        return Err(CONFUSED.to_owned());
    };
    let commits = translate::commits(commits).map_err(|error| error.to_string())?;
    let mut position = Position { life, ..known };
    for commit in commits {
        position.revision = commit.revision.0;
        feed.publish_commit(commit);
    }
    Ok(position)
}

fn describe(fault: Fault) -> String {
    match fault {
        Fault::Unsent => "there is no way to the process that has the store open".into(),
        Fault::Unanswered => SILENT.into(),
        Fault::Refused(refusal) => super::words(refusal),
    }
}
