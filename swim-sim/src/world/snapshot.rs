//! Snapshot files: what a node has its driver write down outlives it, whole or as an old copy.

use swim_core::Node;
use swim_core::node::trace::Traced;
use swim_core::serf::snapshot::{Record, Step};

use super::{HostId, World};

/// The lines of a host's file.
#[derive(Clone, Debug, Default)]
pub(super) struct File(Vec<Record<'static>>);

impl File {
    pub(super) fn follow(&mut self, node: &mut Traced<Option<Vec<u8>>>) {
        while let Some(step) = node.poll_record() {
            match step {
                Step::Append(record) if self.0.len() < LINES_MAX => self.0.push(record),
                Step::Append(_) | Step::Rewrite => self.rewrite(node.node()),
            }
        }
    }

    fn rewrite(&mut self, node: &Node) {
        self.0 = node.records().map(Record::into_owned).collect();
    }
}

impl World {
    /// The snapshot of a host that runs or ran, for [`World::restore`]; empty unless its `serf.snapshot` was set.
    pub fn snapshot(&self, id: HostId) -> &[Record<'static>] {
        &self.host(id).snapshot.0
    }
}

/// Written anew when it has this many lines: a driver looks at the size, too.
const LINES_MAX: usize = 4096;
