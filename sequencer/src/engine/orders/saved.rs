//! The orders as a snapshot has them: nothing said twice, what follows from the rest is made again.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tally_protocol::types::AccountId;

use super::{Folder, Live, Orders, PendingCancel};

/// Shared with the engine until it changes them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedOrders {
    #[serde(serialize_with = "put_live", deserialize_with = "take_live")]
    live: Vec<Arc<Live>>,
    #[serde(serialize_with = "put_folders", deserialize_with = "take_folders")]
    folders: BTreeMap<AccountId, Arc<Folder>>,
    cancels: BTreeMap<(AccountId, u8), PendingCancel>,
    cancelled: VecDeque<(AccountId, u8)>,
}

impl Orders {
    pub fn save(&self) -> SavedOrders {
        SavedOrders {
            live: self.live.values().map(Arc::clone).collect(),
            folders: self.folders.clone(),
            cancels: self.cancels.clone(),
            cancelled: self.cancelled.clone(),
        }
    }

    pub fn restore(saved: SavedOrders) -> Self {
        let deadline = |(account, folder): (&AccountId, &Arc<Folder>)| {
            let deadline = folder.deadline?;
            Some((deadline, *account))
        };
        let mut orders = Self {
            deadlines: saved.folders.iter().filter_map(deadline).collect(),
            folders: saved.folders,
            cancels: saved.cancels,
            cancelled: saved.cancelled,
            ..Self::default()
        };
        for folder in orders.folders.values_mut() {
            let folder = Arc::make_mut(folder);
            (folder.slots, folder.reducing) = Default::default();
            folder.clients = folder.past.iter().copied().collect();
        }
        for live in saved.live {
            orders.insert(Arc::unwrap_or_clone(live));
        }
        orders
    }
}

fn put_live<S: Serializer>(live: &[Arc<Live>], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(live.iter().map(Arc::as_ref))
}

fn take_live<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Arc<Live>>, D::Error> {
    let live = Vec::<Live>::deserialize(deserializer)?;
    Ok(live.into_iter().map(Arc::new).collect())
}

type Folders = BTreeMap<AccountId, Arc<Folder>>;

fn put_folders<S: Serializer>(folders: &Folders, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(folders.iter().map(|(id, folder)| (id, folder.as_ref())))
}

fn take_folders<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Folders, D::Error> {
    let folders = BTreeMap::<AccountId, Folder>::deserialize(deserializer)?;
    let shared = folders.into_iter();
    Ok(shared.map(|(id, folder)| (id, Arc::new(folder))).collect())
}
