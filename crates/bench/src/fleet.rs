//! An installation of several processes under measurement: which roles each has is said
//! by the row group. All are on this host, over unix sockets, each with data of its own.
//! Stopped when dropped.

use std::{
    collections::BTreeMap,
    fs,
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{
    ground::Ground,
    page::Page,
    running::{Program, Running},
};

pub(crate) struct Fleet {
    /// Those with a frontend, in the order in which they were named.
    pub(crate) publics: Vec<Running>,
    /// By their roles, as they were named.
    others: BTreeMap<String, Member>,
    pages: BTreeMap<String, SocketAddr>,
    home: TempDir,
}

impl Fleet {
    /// `processes`: the roles of each; `options`: for all of them.
    pub(crate) fn start(
        ground: &Ground<'_>,
        processes: &[String],
        options: &[&str],
    ) -> anyhow::Result<Fleet> {
        let home = tempfile::tempdir().context("making a temporary directory")?;
        write_members(home.path(), processes)?;
        let mut fleet =
            Fleet { publics: Vec::new(), others: BTreeMap::new(), pages: BTreeMap::new(), home };
        let is_public = |roles: &&String| roles.contains("frontend");
        for roles in processes.iter().filter(|roles| !is_public(roles)) {
            fleet.start_other(ground, roles, options)?;
        }
        for roles in processes.iter().filter(is_public) {
            fleet.start_public(ground, roles, options)?;
        }
        Ok(fleet)
    }

    fn options(&mut self, roles: &str, more: &[&str]) -> anyhow::Result<Vec<String>> {
        let home = self.home.path();
        let page = free_address()?;
        let mut options = vec![
            "--roles".to_owned(),
            roles.to_owned(),
            "--members".to_owned(),
            home.join("members.toml").display().to_string(),
            "--objects".to_owned(),
            format!("file:{}", home.join("objects").display()),
            "--metrics".to_owned(),
            page.to_string(),
        ];
        options.extend(more.iter().map(|option| (*option).to_owned()));
        self.pages.insert(roles.to_owned(), page);
        Ok(options)
    }

    fn start_public(
        &mut self,
        ground: &Ground<'_>,
        roles: &str,
        more: &[&str],
    ) -> anyhow::Result<()> {
        let options = self.options(roles, more)?;
        let place = self.home.path().join(roles);
        fs::create_dir_all(&place)?;
        let program = Program { path: ground.args.lambent.clone(), options };
        self.publics.push(Running::start(ground.clock, &program, &place)?);
        Ok(())
    }

    fn start_other(
        &mut self,
        ground: &Ground<'_>,
        roles: &str,
        more: &[&str],
    ) -> anyhow::Result<()> {
        let options = self.options(roles, more)?;
        let home = self.home.path();
        let said = fs::File::create(home.join(format!("{roles}.log")))?;
        let mut command = Command::new(&ground.args.lambent);
        command.arg("up").args(options).arg("--data").arg(home.join(roles));
        // A frontend's address, which this process has no use for.
        command.args(["--listen", &free_address()?.to_string()]);
        command.stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said);
        let child = command.spawn().with_context(|| format!("starting {roles}"))?;
        self.others.insert(roles.to_owned(), Member(child));
        Ok(())
    }

    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.publics.iter().map(|running| running.address).collect()
    }

    /// What a process shows of its metrics now.
    pub(crate) fn page(&self, roles: &str) -> anyhow::Result<Page> {
        let address = self.pages.get(roles).with_context(|| format!("there is no {roles}"))?;
        Page::read(*address).with_context(|| format!("reading the metrics of {roles}"))
    }

    /// A metric summed over the processes whose roles begin so; those that were ended
    /// are left out.
    pub(crate) fn sum(&self, begin: &str, metric: &str, labels: &str) -> anyhow::Result<f64> {
        let named = self.pages.keys().filter(|roles| roles.contains(begin));
        named.map(|roles| Ok(self.page(roles)?.sum(metric, labels))).sum()
    }

    /// Asks a process to end, and does not wait.
    pub(crate) fn end(&mut self, roles: &str) {
        self.pages.remove(roles);
        if let Some(member) = self.others.get(roles) {
            member.signal();
        }
    }

    pub(crate) fn stop(self) -> anyhow::Result<()> {
        for running in self.publics {
            running.stop()?;
        }
        Ok(())
    }
}

fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn write_members(home: &Path, processes: &[String]) -> anyhow::Result<()> {
    let mut file = String::from("[members]\n");
    for (number, roles) in processes.iter().enumerate() {
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
    fn signal(&self) -> bool {
        let pid = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw);
        pid.is_some_and(|pid| kill_process(pid, Signal::TERM).is_ok())
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if self.0.try_wait().is_ok_and(|ended| ended.is_some()) {
            return;
        }
        if !self.signal() {
            let _ = self.0.kill();
        }
        let _ = self.0.wait();
    }
}
