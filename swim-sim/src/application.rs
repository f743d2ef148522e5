//! Logic that lives on a node: what a program that embeds swim would do, in virtual time.

use core::fmt;
use core::time::Duration;

use swim_core::ids::{CommandId, LamportTime, QueryId};
use swim_core::node::input::Reply;
use swim_core::node::trace::Traced;
use swim_core::serf::direct::{Delivery, SendError};
use swim_core::serf::query::{Query, QueryError, RespondError};
use swim_core::serf::tags::{Tags, TagsTooLarge};
use swim_core::serf::user_event::{EventTooLarge, UserEvent};
use swim_core::{Event, Instant, Node};

/// What a program does with its node. [`World::run_application`](crate::World::run_application) starts it.
///
/// ```
/// use swim_core::serf::event::MemberEvent;
/// use swim_core::serf::user_event::UserEvent;
/// use swim_core::Event;
/// use swim_sim::application::{Application, Desk};
/// use swim_sim::{TestNet, secs};
///
/// /// Greets whoever comes.
/// struct Porter;
///
/// impl Application for Porter {
///     fn on_event(&mut self, desk: &mut Desk<'_>, event: &Event) {
///         if let Event::Member { kind: MemberEvent::Join, member } = event
///             && member.name != *desk.node().local().name()
///         {
///             let greeting = UserEvent { name: b"welcome", payload: Some(member.name.as_bytes()), coalesce: false };
///             desk.user_event(greeting).expect("it is short");
///         }
///     }
/// }
///
/// let mut net = TestNet::lan(2, 42);
/// let porter = net.host("n1");
/// net.world_mut().run_application(porter, Porter);
/// net.join("n2", "n1");
/// net.run_for(secs(5));
/// assert_eq!(net.user_events("n2")[0].payload, "n2");
/// ```
pub trait Application {
    /// It begins.
    fn on_start(&mut self, _desk: &mut Desk<'_>) {}

    /// The node has something to tell. Everything it tells comes here, in order.
    fn on_event(&mut self, _desk: &mut Desk<'_>, _event: &Event) {}

    /// Something came of a command.
    fn on_reply(&mut self, _desk: &mut Desk<'_>, _command: CommandId, _reply: &Reply) {}

    /// The time has come that [`Desk::wake_in`] asked for.
    fn on_wake(&mut self, _desk: &mut Desk<'_>) {}
}

/// Where an application sits: it sees its node, gives it commands, and can ask to be woken.
pub struct Desk<'a> {
    pub(crate) now: Instant,
    pub(crate) node: &'a mut Traced<Option<Vec<u8>>>,
    pub(crate) wake_in: Option<Duration>,
}

impl Desk<'_> {
    /// The time, by the host's clock.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The node.
    pub fn node(&self) -> &Node {
        self.node.node()
    }

    /// Asks for [`Application::on_wake`] after this long; the last call before the application returns counts.
    pub fn wake_in(&mut self, wait: Duration) {
        self.wake_in = Some(wait);
    }

    /// [`Node::join`]
    pub fn join(&mut self, seeds: &[core::net::SocketAddr], replay: bool) -> CommandId {
        self.node.join(self.now, seeds, replay)
    }

    /// [`Node::leave`]
    pub fn leave(&mut self) -> CommandId {
        self.node.leave(self.now)
    }

    /// [`Node::force_leave`]
    pub fn force_leave(&mut self, name: &[u8], prune: bool) -> CommandId {
        self.node.force_leave(self.now, name, prune)
    }

    /// [`Node::ping`]
    pub fn ping(&mut self, name: &[u8]) -> CommandId {
        self.node.ping(self.now, name)
    }

    /// [`Node::set_tags`]
    ///
    /// # Errors
    ///
    /// When they do not fit.
    pub fn set_tags(&mut self, tags: &Tags) -> Result<CommandId, TagsTooLarge> {
        self.node.set_tags(self.now, tags)
    }

    /// [`Node::user_event`]
    ///
    /// # Errors
    ///
    /// When it is too long.
    pub fn user_event(&mut self, event: UserEvent<'_>) -> Result<LamportTime, EventTooLarge> {
        self.node.user_event(self.now, event)
    }

    /// [`Node::query`]
    ///
    /// # Errors
    ///
    /// When it is not asked.
    pub fn query(&mut self, query: Query<'_>) -> Result<CommandId, QueryError> {
        self.node.query(self.now, query)
    }

    /// [`Node::respond`]
    ///
    /// # Errors
    ///
    /// When it is not sent.
    pub fn respond(&mut self, to: QueryId, payload: &[u8]) -> Result<(), RespondError> {
        self.node.respond(self.now, to, payload)
    }

    /// [`Node::send`]
    ///
    /// # Errors
    ///
    /// When it cannot be sent.
    pub fn send(&mut self, to: &[u8], payload: &[u8], by: Delivery) -> Result<CommandId, SendError> {
        self.node.send(self.now, to, payload, by)
    }
}

impl fmt::Debug for Desk<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").field("now", &self.now).finish_non_exhaustive()
    }
}

/// Looks on without a hand in it: checkers and measurements. See [`World::watch`](crate::World::watch).
pub trait Watcher {
    /// A node has done something, and all its outputs have been taken.
    fn on_step(&mut self, step: &Step<'_>);
}

/// One step of one node.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// When, by the world's clock.
    pub at: Instant,
    /// When, by the node's.
    pub local: Instant,
    /// Which host.
    pub host: crate::world::HostId,
    /// The node, as it is now.
    pub node: &'a Node,
    /// What it told its application in this step.
    pub events: &'a [Event],
    /// It has not got round to what is due: there is more to do first.
    pub busy: bool,
}

impl<W: Watcher> Watcher for std::rc::Rc<core::cell::RefCell<W>> {
    fn on_step(&mut self, step: &Step<'_>) {
        self.borrow_mut().on_step(step);
    }
}
