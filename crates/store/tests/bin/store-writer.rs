//! The victim of the crash test: writes to the store in a directory as fast as it
//! can and prints a line for every change that was acknowledged, until it is killed.
//! Not shipped, and no test by itself.
//!
//! Arguments: the directory, and the number of tasks that write at once. A line is
//! `{task} {count} {revision}`; the change of that line put `count` under both keys
//! of the task, in one transaction.

use std::{
    io::{Write as _, stdout},
    path::Path,
};

use model::AccountId;
use store::{AccountLimits, Store, Transaction, schema};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().expect("a directory");
    let tasks: u32 =
        arguments.next().and_then(|text| text.parse().ok()).expect("a number of tasks");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let store = Store::open(Path::new(&directory)).expect("the store opens");
        let mut running = tokio::task::JoinSet::new();
        for task in 0..tasks {
            running.spawn(write_for_ever(store.clone(), task));
        }
        running.join_all().await;
    });
}

async fn write_for_ever(store: Store, task: u32) {
    let account =
        |half: u32| AccountId::parse(&format!("{:012}", task * 2 + half)).expect("twelve digits");
    let (left, right) = (schema::account_limits(account(0)), schema::account_limits(account(1)));
    let found = store.read(&left).await.expect("the store reads");
    let mut count = found.map_or(0, |found| found.value.concurrency);
    loop {
        count += 1;
        let value = AccountLimits { concurrency: count };
        let transaction = Transaction::new().put(&left, &value).expect("a record");
        let transaction = transaction.put(&right, &value).expect("a record");
        let revision = store.transact(transaction).await.expect("the store writes").0;
        let mut out = stdout().lock();
        writeln!(out, "{task} {count} {revision}").and_then(|()| out.flush()).expect("a reader");
    }
}
