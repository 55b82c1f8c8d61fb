//! A network in memory, for tests and simulation: places have names, and the lines to
//! a place can be cut or fall silent.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    io::{DuplexStream, copy_bidirectional, duplex},
    sync::{mpsc, watch},
};

use crate::tasks::{TaskKind, Tasks};

/// What a simulated line holds in each direction.
const LINE_BYTES: usize = 64 * 1024;
/// Connections that wait to be accepted; those that dial wait.
const BACKLOG: usize = 128;

#[derive(Clone, Debug)]
pub struct Simulated {
    tasks: Tasks,
    places: Arc<Mutex<BTreeMap<String, Known>>>,
}

#[derive(Clone, Debug)]
struct Known {
    door: mpsc::Sender<DuplexStream>,
    weather: watch::Sender<Weather>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weather {
    Clear {
        cuts: u64,
    },
    /// Nothing arrives, and nobody is told.
    Silent,
}

/// A place that listens. Dropping it closes the door.
#[derive(Debug)]
pub(super) struct Place {
    name: String,
    arrivals: mpsc::Receiver<DuplexStream>,
    network: Simulated,
}

impl Simulated {
    pub fn new(tasks: Tasks) -> Simulated {
        Simulated { tasks, places: Arc::default() }
    }

    fn places(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Breaks every connection to the place; new ones can be made.
    pub fn cut(&self, place: &str) {
        self.change(place, |weather| match weather {
            Weather::Clear { cuts } => Weather::Clear { cuts: cuts + 1 },
            Weather::Silent => Weather::Clear { cuts: 0 },
        });
    }

    /// From now on nothing arrives on connections to the place, until they are cut.
    pub fn silence(&self, place: &str) {
        self.change(place, |_| Weather::Silent);
    }

    fn change(&self, place: &str, to: fn(Weather) -> Weather) {
        if let Some(known) = self.places().get(place) {
            known.weather.send_modify(|weather| *weather = to(*weather));
        }
    }

    /// `None` where somebody listens there already.
    pub(super) fn listen(&self, name: &str) -> Option<Place> {
        let mut places = self.places();
        if places.get(name).is_some_and(|known| !known.door.is_closed()) {
            return None;
        }
        let (door, arrivals) = mpsc::channel(BACKLOG);
        let weather = watch::Sender::new(Weather::Clear { cuts: 0 });
        places.insert(name.to_owned(), Known { door, weather });
        Some(Place { name: name.to_owned(), arrivals, network: self.clone() })
    }

    pub(super) async fn dial(&self, name: &str) -> io::Result<DuplexStream> {
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let known = self.places().get(name).cloned().ok_or_else(refused)?;
        let (near, mut near_end) = duplex(LINE_BYTES);
        let (far, mut far_end) = duplex(LINE_BYTES);
        let mut weather = known.weather.subscribe();
        let clear = *weather.borrow_and_update() != Weather::Silent;
        known.door.send(far).await.map_err(|_| refused())?;
        self.tasks.spawn(TaskKind::Background, "simulated line", async move {
            if clear {
                tokio::select! {
                    biased;
                    _ = copy_bidirectional(&mut near_end, &mut far_end) => return,
                    _ = weather.changed() => {}
                }
            }
            // A silent line keeps its ends until it is cut.
            let cut = |weather: &Weather| matches!(weather, Weather::Clear { .. });
            let _ = weather.wait_for(cut).await;
        });
        Ok(near)
    }
}

impl Place {
    pub(super) async fn accept(&mut self) -> Option<DuplexStream> {
        self.arrivals.recv().await
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.network.places().remove(&self.name);
    }
}
