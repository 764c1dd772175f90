//! The maps by name, wherever they come from: a loaded object, or pins that an earlier daemon left.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use aya::Ebpf;
use aya::maps::{Map, MapData, MapError};

/// Maps that nobody takes: the object keeps them.
const KEPT: &[&str] = &["SELFTEST", "AYA_LOGS"];

/// Maps that wait for who uses them.
pub(super) struct Maps(BTreeMap<String, Map>);

impl Maps {
    /// Takes the maps out of a loaded object, all but those of its global variables.
    pub(super) fn loaded(bpf: &mut Ebpf) -> Self {
        let names: Vec<String> = bpf
            .maps()
            .map(|(name, _)| name.to_owned())
            .filter(|name| !name.starts_with('.') && !KEPT.contains(&name.as_str()))
            .collect();
        Self(names.into_iter().filter_map(|name| Some((name.clone(), bpf.take_map(&name)?))).collect())
    }

    /// Opens every map that is pinned in a folder.
    ///
    /// # Errors
    /// One cannot be opened.
    pub(super) fn pinned(folder: &Path) -> Result<Self, String> {
        let mut maps = BTreeMap::new();
        for entry in fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))? {
            let path = entry.map_err(|e| format!("{}: {e}", folder.display()))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let map = MapData::from_pin(&path).and_then(Map::from_map_data);
            maps.insert(name, map.map_err(|e| format!("{}: {e}", path.display()))?);
        }
        Ok(Self(maps))
    }

    /// Pins every map that is still here.
    ///
    /// # Errors
    /// One cannot be pinned.
    pub(super) fn pin(&self, folder: &Path) -> Result<(), String> {
        for (name, map) in &self.0 {
            map.pin(folder.join(name)).map_err(|e| format!("map {name}: {e}"))?;
        }
        Ok(())
    }

    /// A map that is still here.
    pub(super) fn get(&self, name: &str) -> Result<&Map, String> {
        self.0.get(name).ok_or_else(|| format!("no map {name} in the eBPF object"))
    }

    /// Takes a map.
    ///
    /// # Errors
    /// It is not there, or of another type.
    pub(super) fn take<T: TryFrom<Map, Error = MapError>>(&mut self, name: &str) -> Result<T, String> {
        let map = self.0.remove(name).ok_or_else(|| format!("no map {name} in the eBPF object"))?;
        T::try_from(map).map_err(|e| format!("map {name}: {e}"))
    }

    /// Takes a ring buffer, which has no use as a map.
    ///
    /// # Errors
    /// It is of another type.
    pub(super) fn take_ring(&mut self, name: &str) -> Result<Option<MapData>, String> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(Map::RingBuf(data)) => Ok(Some(data)),
            Some(_) => Err(format!("map {name} is no ring buffer")),
        }
    }
}
