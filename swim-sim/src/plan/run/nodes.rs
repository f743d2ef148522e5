//! Which processes run under which names, and how each finds the others.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use swim_core::Instant;
use swim_core::ids::CommandId;
use swim_core::node::input::Reply;
use swim_core::serf::config::Life;
use swim_core::serf::snapshot::Record;

use super::Stage;
use crate::application::{Application, Desk};
use crate::plan::Memory;
use crate::world::HostId;

impl Stage<'_> {
    pub(super) fn start(&mut self, number: u32, address: SocketAddr, memory: &[Record<'static>]) {
        let config = self.plan.config(number, address);
        let host = self.world.start(config).expect("a preset, and small changes to it");
        let name = &mut self.nodes[number as usize];
        name.running.push(host);
        (name.last, name.address) = (Some(host), address);
        self.checks.borrow_mut().started(host, number);
        if !memory.is_empty() {
            self.world.restore(host, memory);
        }
        // Also the one whose name it has taken: with nobody else there, they would never hear of each other.
        let running = self.nodes.iter().flat_map(|name| &name.running);
        let doors = running.map(|host| self.world.address(*host)).filter(|door| *door != address);
        let doors = doors.take(DOORS).collect();
        if self.plan.setting.seeds {
            self.look_up_seeds();
        } else if memory.is_empty() {
            self.world.run_application(host, Newcomer { doors });
        }
    }

    /// The names of the seeds stand for wherever the first nodes are now. While fewer than two of them run, they stand
    /// for others, too, as somebody who keeps them would see to: nobody could find the cluster otherwise.
    pub(super) fn look_up_seeds(&mut self) {
        let names = self.nodes.iter().skip(1).take(DOORS).filter(|name| name.last.is_some());
        let mut seeds: Vec<_> = names.map(|name| name.address).collect();
        let running: Vec<HostId> = self.nodes.iter().flat_map(|name| name.running.iter().copied()).collect();
        let stays = |host: &&HostId| self.world.node(**host).is_some_and(|node| node.life() == Life::Alive);
        let staying = running.iter().filter(stays).map(|host| self.world.address(*host));
        let (known, others): (Vec<_>, Vec<_>) = staying.partition(|address| seeds.contains(address));
        seeds.extend(others.iter().take(2_usize.saturating_sub(known.len())));
        for host in running {
            self.world.set_names(host, &seeds);
        }
    }

    pub(super) fn restart(&mut self, number: u32, memory: Memory, moved: bool) {
        let name = &self.nodes[number as usize];
        let (true, Some(last)) = (name.running.is_empty(), name.last) else { return };
        let address = if moved { self.fresh_address() } else { name.address };
        let lines = self.world.snapshot(last);
        let lines = match memory {
            Memory::Nothing => Vec::new(),
            Memory::Snapshot => lines.to_vec(),
            Memory::OldSnapshot => lines[..lines.len() / 2].to_vec(),
        };
        self.nodes[number as usize].lost = true;
        self.start(number, address, &lines);
    }

    pub(super) fn crash(&mut self, number: u32) {
        let now = self.world.now();
        let running = core::mem::take(&mut self.nodes[number as usize].running);
        let was_there = !running.is_empty();
        for host in running {
            self.world.crash(host);
            self.checks.borrow_mut().ended(host, false);
        }
        self.nodes[number as usize].frozen_until = Instant::ZERO;
        // It is the only harm, and all others have been got over.
        if was_there && self.harms_are_over(now) {
            self.news.push((now + self.scaled(self.completeness()), number, self.harms));
        }
    }

    /// Whoever was started without a memory that holds, or outlived whom it imitates, is shown the way by an operator, and
    /// impostors to whom they imitate: what they were to join may have been out of reach.
    pub(super) fn rejoin(&mut self) {
        for name in &self.nodes {
            if let [imitated, impostors @ ..] = &name.running[..] {
                let address = self.world.address(*imitated);
                for impostor in impostors {
                    self.world.join(*impostor, &[address], false);
                }
            }
        }
        // Of those who have been there all the time, if there is one.
        let running = self.nodes.iter().filter_map(|name| Some((name.lost, *name.running.first()?)));
        let Some((_, door)) = running.min_by_key(|(lost, _)| *lost) else { return };
        let address = self.world.address(door);
        for number in 1..self.nodes.len() {
            if let (true, Some(host)) = (self.nodes[number].lost, self.nodes[number].running.first().copied())
                && host != door
            {
                self.world.join(host, &[address], false);
            }
        }
    }

    /// Ends the processes of those who have lost their names, and of those who have left.
    pub(super) fn dismiss(&mut self) {
        let lost = self.checks.borrow_mut().take_lost();
        let mut gone: Vec<HostId> = lost;
        for name in &self.nodes {
            let left =
                name.running.iter().filter(|host| self.world.node(**host).is_some_and(|n| n.life() == Life::Left));
            gone.extend(left.copied());
        }
        for host in gone {
            for name in &mut self.nodes {
                if let Some(at) = name.running.iter().position(|running| *running == host) {
                    name.running.remove(at);
                    self.world.crash(host);
                    self.checks.borrow_mut().ended(host, !name.running.is_empty());
                    if let Some(other) = name.running.first() {
                        name.address = self.world.address(*other);
                        name.last = Some(*other);
                        // An impostor has outlived the first: what it was to join may have been out of reach.
                        name.lost |= at == 0;
                    }
                }
            }
        }
    }

    pub(super) fn fresh_address(&mut self) -> SocketAddr {
        self.addresses += 1;
        let [_, a, b, c] = self.addresses.to_be_bytes();
        SocketAddr::new(IpAddr::from([10, a, b, c]), PORT)
    }
}

/// Joins by way of whoever was there when it started, again and again while it is alone.
struct Newcomer {
    doors: Vec<SocketAddr>,
}

impl Newcomer {
    fn try_the_doors(&self, desk: &mut Desk<'_>) {
        if !self.doors.is_empty() && desk.node().members().nth(1).is_none() {
            desk.join(&self.doors, false);
        }
    }
}

impl Application for Newcomer {
    fn on_start(&mut self, desk: &mut Desk<'_>) {
        self.try_the_doors(desk);
    }

    fn on_reply(&mut self, desk: &mut Desk<'_>, _command: CommandId, reply: &Reply) {
        if let Reply::Done(Err(_)) = reply {
            desk.wake_in(Duration::from_secs(5));
        }
    }

    fn on_wake(&mut self, desk: &mut Desk<'_>) {
        self.try_the_doors(desk);
    }
}

pub(super) const PORT: u16 = 7946;
/// Others that a newcomer knows, and nodes that are seeds.
const DOORS: usize = 3;
