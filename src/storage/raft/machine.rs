//! The store's table as the machine that agreed transactions are applied to.

use std::io::{self, Read};
use std::sync::Arc;

use bytes::Bytes;
use redb::Durability;

use super::super::image::{StoreImage, entries};
use super::super::table::{Batch, Table};
use super::super::{CommitError, StorageError};
use super::record;
use crate::raft::{Image, Machine, Step, Verdict};

/// The table, changed by the raft log only.
#[derive(Debug)]
pub(super) struct TableMachine(pub(super) Arc<Table>);

fn failed(error: CommitError) -> io::Error {
    let full = matches!(error, CommitError::Full);
    io::Error::new(if full { io::ErrorKind::StorageFull } else { io::ErrorKind::Other }, error)
}

impl Machine for TableMachine {
    fn mark(&self) -> io::Result<Option<Bytes>> {
        let mark = self.0.mark().map_err(io::Error::other::<StorageError>)?;
        Ok(mark.map(Bytes::from))
    }

    fn apply(&mut self, step: &Step<'_>) -> io::Result<Vec<Verdict>> {
        let decoded = step.commands.iter().map(|(index, bytes)| Ok((*index, record::decode(bytes.clone())?)));
        let commands = decoded.collect::<io::Result<Vec<_>>>()?;
        let outcomes = self.0.apply(&Batch {
            commands: &commands,
            index: step.index,
            mark: Some(step.mark),
            durability: if step.durable { Durability::Immediate } else { Durability::None },
        });
        let verdict =
            |outcome: &Result<_, _>| if outcome.is_ok() { Verdict::Accepted } else { Verdict::Refused };
        Ok(outcomes.map_err(failed)?.iter().map(verdict).collect())
    }

    fn checkpoint(&mut self) -> io::Result<()> {
        self.0.checkpoint().map_err(failed)
    }

    fn image(&self) -> io::Result<Box<dyn Image>> {
        Ok(Box::new(StoreImage(self.0.view())))
    }

    fn install(&mut self, image: &mut dyn Read, index: u64, mark: &[u8]) -> io::Result<()> {
        self.0.replace(entries(image), index, mark).map_err(failed)
    }
}
