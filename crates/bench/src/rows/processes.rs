//! Row group *processes*: the same warm call where frontend, manager and worker are
//! processes of their own, over unix sockets, beside the one process that has them
//! all. Both answer in turn, so that they meet the same machine.

use anyhow::bail;

use crate::{
    connection::Connection,
    deploy::{Deployer, invoke_path},
    fleet::Fleet,
    functions::Kind,
    ground::{EVENT, Ground, MEMORY_MB, echo},
    report::Row,
    running::Running,
    sample::Samples,
};

const GROUP: &str = "processes";
/// The roles of each process; the first answers the public.
const APART: [&str; 3] = ["control,frontend-1", "manager-1", "worker-1"];
const MEASURED: [Kind; 2] = [Kind::Python, Kind::Compiled];

pub(crate) fn measure(ground: &Ground<'_>) -> anyhow::Result<Vec<Row>> {
    let fleet = Fleet::start(ground, &APART.map(str::to_owned), &[])?;
    let [running] = &fleet.publics[..] else { bail!("one process answers the public") };
    let rows = compare(ground, running)?;
    fleet.stop()?;
    Ok(rows)
}

fn compare(ground: &Ground<'_>, apart: &Running) -> anyhow::Result<Vec<Row>> {
    let access = apart.access()?;
    let connection = Connection::open(apart.address)?;
    let mut deployer = Deployer { clock: ground.clock, access: &access, connection };
    for kind in MEASURED {
        deployer.create(&echo(kind), kind, &ground.functions.zip(kind)?, MEMORY_MB)?;
    }
    let mut there = Connection::open(apart.address)?;
    let mut here = Connection::open(ground.running.address)?;
    let mut rows = Vec::new();
    for kind in MEASURED {
        let (mut ours, mut one) = (Samples::default(), Samples::default());
        // The first calls make environments and connections.
        for round in 0..=ground.amounts.warm_rounds {
            let name = echo(kind);
            let to_here = ground.invoke_request(&name, EVENT);
            let to_there = access.request(ground.clock, "POST", &invoke_path(&name), &[], EVENT);
            let calls = if round == 0 { 20 } else { ground.amounts.warm_calls };
            let alone = ground.timed(&mut here, &to_here, calls)?;
            let many = ground.timed(&mut there, &to_there, calls)?;
            if round > 0 {
                one.extend(&alone);
                ours.extend(&many);
            }
        }
        let measure = format!("{} p50, three processes", kind.name());
        rows.push(Row::medians(GROUP, measure, "µs", &ours, Some(&one), "one process"));
    }
    Ok(rows)
}
