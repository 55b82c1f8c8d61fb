//! A network in memory, for tests and simulation. Places have names; the lines between
//! two of them are as slow as they are made, break, fall silent and go on. What a seed
//! drew once happens again: nothing here waits in an order of its own.

mod line;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use model::Span;
use tokio::sync::mpsc;

pub(super) use self::line::End;
use self::line::Line;
use crate::entropy::Entropy;

/// Connections that wait to be accepted; those that dial wait.
const BACKLOG: usize = 128;
/// The place of those who did not say where they are.
const NOWHERE: &str = "";

/// The network as one place of it sees it.
#[derive(Clone, Debug)]
pub struct Simulated {
    map: Arc<Mutex<Map>>,
    here: Arc<str>,
}

#[derive(Debug, Default)]
struct Map {
    doors: BTreeMap<String, mpsc::Sender<End>>,
    lines: Vec<Between>,
    /// Places whose every line is silent.
    silent: BTreeSet<String>,
    /// Pairs of places, the smaller name first, whose lines are silent.
    parted: BTreeSet<(String, String)>,
    pace: Pace,
}

/// A line, by the place that dialled and the one that was.
#[derive(Debug)]
struct Between {
    from: Arc<str>,
    to: Arc<str>,
    line: Line,
}

/// How long what is sent is on its way: at least and at most. Lines keep the order of
/// what was sent on them; what goes over two lines may overtake.
#[derive(Clone, Debug)]
pub struct Pace {
    pub least: Span,
    pub most: Span,
    pub dice: Entropy,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { least: Span::ZERO, most: Span::ZERO, dice: Entropy::seeded(0) }
    }
}

/// A place that listens. Dropping it closes the door.
#[derive(Debug)]
pub(super) struct Place {
    name: String,
    arrivals: mpsc::Receiver<End>,
    network: Simulated,
}

impl Simulated {
    pub fn new() -> Simulated {
        Simulated { map: Arc::default(), here: NOWHERE.into() }
    }

    /// The same network, seen from a place.
    pub fn at(&self, place: &str) -> Simulated {
        Simulated { map: Arc::clone(&self.map), here: place.into() }
    }

    /// For lines that are made from now on.
    pub fn set_pace(&self, pace: Pace) {
        self.map().pace = pace;
    }

    /// Breaks every connection to the place and of it, at both ends at once; new ones
    /// can be made.
    pub fn cut(&self, place: &str) {
        let mut map = self.map();
        map.silent.remove(place);
        map.lines_of(place).for_each(Line::cut);
    }

    /// Breaks the connections between two places; new ones can be made.
    pub fn cut_between(&self, one: &str, other: &str) {
        self.map().lines_between(one, other).for_each(Line::cut);
    }

    /// Breaks the connections that one place made to another, and leaves those that the
    /// other made.
    pub fn cut_from(&self, from: &str, to: &str) {
        let map = self.map();
        let meant = |b: &&Between| *b.from == *from && *b.to == *to;
        map.lines.iter().filter(meant).for_each(|b| b.line.cut());
    }

    /// From now on nothing arrives at the place or from it, and nobody is told, until
    /// it is cut or heard again.
    pub fn silence(&self, place: &str) {
        let mut map = self.map();
        map.silent.insert(place.to_owned());
        map.lines_of(place).for_each(|line| line.silence(true));
    }

    /// What was sent meanwhile arrives now.
    pub fn hear(&self, place: &str) {
        let mut map = self.map();
        map.silent.remove(place);
        map.let_speak();
    }

    /// From now on nothing arrives between the two places, and nobody is told.
    pub fn part(&self, one: &str, other: &str) {
        let mut map = self.map();
        map.parted.insert(pair(one, other));
        map.lines_between(one, other).for_each(|line| line.silence(true));
    }

    /// What was sent meanwhile arrives now.
    pub fn join(&self, one: &str, other: &str) {
        let mut map = self.map();
        map.parted.remove(&pair(one, other));
        map.let_speak();
    }

    fn map(&self) -> MutexGuard<'_, Map> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None` where somebody listens there already.
    pub(super) fn listen(&self, name: &str) -> Option<Place> {
        let mut map = self.map();
        if map.doors.get(name).is_some_and(|door| !door.is_closed()) {
            return None;
        }
        let (door, arrivals) = mpsc::channel(BACKLOG);
        map.doors.insert(name.to_owned(), door);
        Some(Place { name: name.to_owned(), arrivals, network: self.clone() })
    }

    pub(super) async fn dial(&self, name: &str) -> io::Result<End> {
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let (door, near, far) = {
            let mut map = self.map();
            let door = map.doors.get(name).cloned().ok_or_else(refused)?;
            let (line, [near, far]) = line::line(&map.pace);
            line.silence(map.is_silent(&self.here, name));
            map.lines.retain(|between| between.line.is_used());
            map.lines.push(Between { from: Arc::clone(&self.here), to: name.into(), line });
            (door, near, far)
        };
        door.send(far).await.map_err(|_| refused())?;
        Ok(near)
    }
}

impl Default for Simulated {
    fn default() -> Simulated {
        Simulated::new()
    }
}

impl Map {
    fn lines_of(&self, place: &str) -> impl Iterator<Item = &Line> {
        let of = move |b: &&Between| *b.from == *place || *b.to == *place;
        self.lines.iter().filter(of).map(|b| &b.line)
    }

    fn lines_between(&self, one: &str, other: &str) -> impl Iterator<Item = &Line> {
        let wanted = pair(one, other);
        let between = move |b: &&Between| pair(&b.from, &b.to) == wanted;
        self.lines.iter().filter(between).map(|b| &b.line)
    }

    fn is_silent(&self, from: &str, to: &str) -> bool {
        let silent = |place| self.silent.contains(place);
        silent(from) || silent(to) || self.parted.contains(&pair(from, to))
    }

    fn let_speak(&self) {
        let speaks = |b: &&Between| !self.is_silent(&b.from, &b.to);
        self.lines.iter().filter(speaks).for_each(|b| b.line.silence(false));
    }
}

fn pair(one: &str, other: &str) -> (String, String) {
    let (first, second) = if one <= other { (one, other) } else { (other, one) };
    (first.to_owned(), second.to_owned())
}

impl Place {
    pub(super) async fn accept(&mut self) -> Option<End> {
        self.arrivals.recv().await
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.arrivals.close();
        let mut map = self.network.map();
        if map.doors.get(&self.name).is_some_and(mpsc::Sender::is_closed) {
            map.doors.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        time::{Duration, Instant, timeout},
    };

    use super::*;

    async fn line(network: &Simulated, place: &mut Place) -> (End, End) {
        let near = network.dial(&place.name.clone()).await.unwrap();
        (near, place.accept().await.unwrap())
    }

    async fn says(from: &mut End, to: &mut End) -> bool {
        let mut byte = [0; 1];
        from.write_all(b"x").await.is_ok()
            && matches!(timeout(Duration::from_secs(60), to.read_exact(&mut byte)).await, Ok(Ok(_)))
    }

    #[tokio::test(start_paused = true)]
    async fn order_is_kept_however_the_times_fall() {
        let network = Simulated::new();
        let (least, most) = (Span::millis(2), Span::millis(9));
        network.set_pace(Pace { least, most, dice: Entropy::seeded(1) });
        let (mut near, mut far) = line(&network, &mut network.listen("b").unwrap()).await;
        let began = Instant::now();
        let sent: Vec<u8> = (0..=255).collect();
        for byte in &sent {
            near.write_all(&[*byte]).await.unwrap();
        }
        assert_eq!(began.elapsed(), Duration::ZERO);
        let mut got = vec![0; 256];
        far.read_exact(&mut got).await.unwrap();
        assert_eq!(got, sent);
        let took = began.elapsed();
        assert!((least.to_std()..=most.to_std() + Duration::from_millis(1)).contains(&took));
        drop(near);
        assert_eq!(far.read(&mut got).await.unwrap(), 0);
        assert!(far.write_all(b"x").await.is_err(), "nobody reads");
    }

    #[tokio::test(start_paused = true)]
    async fn parted_places_hear_nothing_until_they_are_joined() {
        let network = Simulated::new();
        let (mut b, mut c) = (network.listen("b").unwrap(), network.listen("c").unwrap());
        let from_a = network.at("a");
        let (mut near, mut far) = line(&from_a, &mut b).await;
        let (mut other_near, mut other_far) = line(&from_a, &mut c).await;
        network.part("b", "a");
        assert!(!says(&mut near, &mut far).await);
        assert!(!says(&mut far, &mut near).await);
        assert!(says(&mut other_near, &mut other_far).await);
        let (mut late_near, mut late_far) = line(&from_a, &mut b).await;
        assert!(!says(&mut late_near, &mut late_far).await, "new lines are silent too");
        network.join("a", "b");
        let mut held = [0; 1];
        far.read_exact(&mut held).await.unwrap();
        late_far.read_exact(&mut held).await.unwrap();
        assert!(says(&mut near, &mut far).await);

        network.cut_from("c", "a");
        assert!(says(&mut other_near, &mut other_far).await, "c made none");
        network.cut_from("a", "c");
        assert!(!says(&mut other_near, &mut other_far).await);
        let (mut other_near, mut other_far) = line(&from_a, &mut c).await;
        network.cut_between("c", "a");
        assert!(!says(&mut other_near, &mut other_far).await);
        assert!(says(&mut near, &mut far).await);
        network.cut("a");
        assert!(near.write_all(b"x").await.is_err());
        assert!(far.read_exact(&mut held).await.is_err(), "also what was under way");
        let (mut near, mut far) = line(&from_a, &mut b).await;
        assert!(says(&mut near, &mut far).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_holds_so_much_and_then_its_writer_waits() {
        let network = Simulated::new();
        let (mut near, mut far) = line(&network, &mut network.listen("b").unwrap()).await;
        let sent = vec![7; 300_000];
        let write = async {
            near.write_all(&sent).await.unwrap();
            near.shutdown().await.unwrap();
        };
        let read = async {
            let mut got = Vec::new();
            far.read_to_end(&mut got).await.unwrap();
            got
        };
        assert!(timeout(Duration::from_secs(1), write).await.is_err(), "there is no reader");
        let write = near.shutdown();
        let (_, got) = tokio::join!(write, read);
        assert_eq!(got.len(), line::LINE_BYTES);
    }
}
