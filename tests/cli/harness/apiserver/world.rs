//! What the fake API server knows: one Pod and its history, what is broken at
//! the moment, and who asked for what.

use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// What a request wants, as the authoriser of a real API server names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// A new connection, before any request.
    Connect,
    /// One object by its path.
    Get,
    /// A collection.
    List,
    /// Changes of a collection.
    Watch,
    /// Something that this server does not have.
    Other,
}

impl Verb {
    /// Every kind of request.
    pub const REQUESTS: [Self; 3] = [Self::Get, Self::List, Self::Watch];

    /// The name in a message about permissions.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Other => "other",
        }
    }
}

/// Something that goes wrong, until it is healed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This status with a `Status` object as body.
    Status(u16),
    /// 429 or 503 with this in `Retry-After`.
    RetryAfter(u16, &'static str),
    /// A web page instead of JSON.
    Html(u16),
    /// Another object than was asked for.
    WrongObject(&'static str),
    /// An answer that ends in the middle.
    CutJson,
    /// A line that is not JSON.
    Garbage,
    /// JSON without end, and without a line feed.
    Endless,
    /// A watch that says in an event that its start is gone.
    GoneEvent,
    /// Answers arrive in pieces with this pause between them.
    Pieces(Duration),
    /// The request is read and never answered.
    Silence,
    /// A watch that begins, then says nothing, and never ends.
    Mute,
    /// A watch that ends in order after so long.
    CloseAfter(Duration),
    /// The connection is reset: by `Connect` at once, else after the request.
    Reset,
    /// The connection is accepted and then left alone.
    Deaf,
    /// Nobody listens.
    Refuse,
    /// A certificate of an unknown authority.
    OtherCa,
    /// A certificate for another host.
    WrongName,
    /// A certificate that is out of date.
    Expired,
}

/// A request that arrived.
#[derive(Clone, Debug)]
pub struct Request {
    /// What it wants.
    pub verb: Verb,
    /// Path and query.
    pub target: String,
    /// Whether the token was the right one.
    pub authorized: bool,
    /// The number of its connection, from 1.
    pub connection: usize,
    /// When it arrived.
    pub at: Instant,
}

/// An event of the watch.
#[derive(Clone, Debug)]
pub struct Change {
    pub revision: u64,
    pub kind: &'static str,
    pub object: Value,
}

#[derive(Debug, Default)]
pub struct World {
    pub namespace: String,
    pub name: String,
    pub pod: Option<Value>,
    pub revision: u64,
    pub history: Vec<Change>,
    /// Changes up to this one are forgotten.
    pub compacted: u64,
    pub faults: Vec<(Verb, Fault)>,
    pub requests: Vec<Request>,
    pub token: String,
    pub accepted: usize,
    pub open: usize,
    /// Watches that began before this moment are to be cut.
    pub cut: Option<Instant>,
    pub listening: bool,
    pub stopped: bool,
}

impl World {
    /// Puts the Pod as it is now into the history.
    pub fn record(&mut self, kind: &'static str, mut object: Value) {
        self.revision += 1;
        object["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        if kind != "DELETED" && kind != "BOOKMARK" {
            self.pod = Some(object.clone());
        }
        self.history.push(Change { revision: self.revision, kind, object });
    }

    /// What is wrong with requests of this kind.
    pub fn fault(&self, verb: Verb) -> Option<Fault> {
        self.faults.iter().find(|(known, _)| *known == verb).map(|(_, fault)| fault.clone())
    }
}

/// The world, and the bell that rings when it changes.
#[derive(Debug, Default)]
pub struct Shared {
    pub world: Mutex<World>,
    pub changed: Condvar,
}

impl Shared {
    /// Changes the world and wakes everybody.
    pub fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let mut world = self.world.lock().unwrap();
        let answer = change(&mut world);
        self.changed.notify_all();
        answer
    }

    /// Waits until the world is such, for at most so long.
    pub fn wait(&self, limit: Duration, mut is: impl FnMut(&World) -> bool) -> bool {
        let world = self.world.lock().unwrap();
        !self.changed.wait_timeout_while(world, limit, |world| !is(world)).unwrap().1.timed_out()
    }
}
