//! Row group *processes*: the same warm call where frontend, manager and worker are
//! processes of their own, over unix sockets, beside the one process that has them
//! all. Both answer in turn, so that they meet the same machine.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    connection::Connection,
    deploy::{Deployer, invoke_path},
    functions::Kind,
    ground::{EVENT, Ground, MEMORY_MB, echo},
    report::Row,
    running::{Program, Running},
    sample::Samples,
};

const GROUP: &str = "processes";
/// The roles of each process; the first answers the public.
const APART: [&str; 3] = ["control,frontend-1", "manager-1", "worker-1"];
const MEASURED: [Kind; 2] = [Kind::Python, Kind::Compiled];

pub(crate) fn measure(ground: &Ground<'_>) -> anyhow::Result<Vec<Row>> {
    let directory = tempfile::tempdir().context("making a temporary directory")?;
    let home = directory.path();
    write_members(home)?;
    let others = [Member::start(ground, home, APART[1])?, Member::start(ground, home, APART[2])?];
    let place = home.join("frontend");
    fs::create_dir_all(&place)?;
    let program =
        Program { path: ground.args.lambent.clone(), options: options(home, APART[0], None) };
    let running = Running::start(ground.clock, &program, &place)?;
    let rows = compare(ground, &running)?;
    running.stop()?;
    drop(others);
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

fn options(home: &Path, roles: &str, data: Option<PathBuf>) -> Vec<String> {
    let mut options = vec![
        "--roles".to_owned(),
        roles.to_owned(),
        "--members".to_owned(),
        home.join("members.toml").display().to_string(),
        "--objects".to_owned(),
        format!("file:{}", home.join("objects").display()),
    ];
    if let Some(data) = data {
        options.extend(["--data".to_owned(), data.display().to_string()]);
    }
    options
}

fn write_members(home: &Path) -> anyhow::Result<()> {
    let mut file = String::from("[members]\n");
    for (number, roles) in APART.iter().enumerate() {
        let socket = home.join(format!("{number}.sock"));
        for role in roles.split(',') {
            file.push_str(&format!("{role} = \"unix://{}\"\n", socket.display()));
        }
    }
    fs::write(home.join("members.toml"), file).context("writing the members")
}

/// A process that answers nobody but the others. Stopped when dropped.
struct Member(Child);

impl Member {
    fn start(ground: &Ground<'_>, home: &Path, roles: &str) -> anyhow::Result<Member> {
        // A frontend's address, which this process has no use for.
        let unused = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let data = home.join(roles);
        let said = fs::File::create(home.join(format!("{roles}.log")))?;
        let mut command = Command::new(&ground.args.lambent);
        command.arg("up").args(options(home, roles, Some(data)));
        command.args(["--listen", &unused.to_string()]);
        command.stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said);
        Ok(Member(command.spawn().with_context(|| format!("starting {roles}"))?))
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let pid = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw);
        if pid.is_none_or(|pid| kill_process(pid, Signal::TERM).is_err()) {
            let _ = self.0.kill();
        }
        let _ = self.0.wait();
    }
}
