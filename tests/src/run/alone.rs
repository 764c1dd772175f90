//! Checks that need a daemon of their own, and therefore no scenario's.

use super::Stage;
use crate::runtime::{self, Kind, Runtime};
use crate::scenario::Rung;
use crate::tally::Tally;

impl Stage {
    /// Runs a check with runc, if it is wanted. It gives the reason if this machine cannot have that rung.
    pub(super) fn alone(
        &self,
        name: &str,
        rung: Rung,
        tally: &mut Tally,
        check: impl FnOnce(&mut dyn Runtime) -> anyhow::Result<Option<String>>,
    ) -> anyhow::Result<()> {
        if !self.flags.runtimes().contains(&Kind::Runc) {
            return Ok(());
        }
        self.alone_with(Kind::Runc, name, rung, tally, check)
    }

    /// The same with another runtime.
    pub(super) fn alone_with(
        &self,
        kind: Kind,
        name: &str,
        rung: Rung,
        tally: &mut Tally,
        check: impl FnOnce(&mut dyn Runtime) -> anyhow::Result<Option<String>>,
    ) -> anyhow::Result<()> {
        self.alone_as(kind, name, rung, tally, || match runtime::open(kind, &self.env)? {
            Ok(mut runtime) => check(runtime.as_mut()),
            Err(why) => Ok(Some(why)),
        })
    }

    /// The same where containers are to have what the host has for rules on devices.
    pub(super) fn alone_with_devices(
        &self,
        kind: Kind,
        name: &str,
        rung: Rung,
        tally: &mut Tally,
        check: impl FnOnce(&mut dyn Runtime) -> anyhow::Result<Option<String>>,
    ) -> anyhow::Result<()> {
        self.alone_as(kind, name, rung, tally, || match runtime::open_with_devices(kind, &self.env)? {
            Ok(mut runtime) => check(runtime.as_mut()),
            Err(why) => Ok(Some(why)),
        })
    }

    /// Runs a check of pods, which speaks to a CRI server itself.
    pub(super) fn alone_with_pods(
        &self,
        name: &str,
        rung: Rung,
        tally: &mut Tally,
        check: impl FnOnce() -> anyhow::Result<Option<String>>,
    ) -> anyhow::Result<()> {
        if !self.flags.runtimes().contains(&Kind::Cri) {
            return Ok(());
        }
        self.alone_as(Kind::Cri, name, rung, tally, || {
            runtime::missing(Kind::Cri, &self.env.host).map_or_else(check, |why| Ok(Some(why)))
        })
    }

    fn alone_as(
        &self,
        kind: Kind,
        name: &str,
        rung: Rung,
        tally: &mut Tally,
        check: impl FnOnce() -> anyhow::Result<Option<String>>,
    ) -> anyhow::Result<()> {
        let label = match kind {
            Kind::Runc => format!("{name}[{}]", rung.name()),
            other => super::group::label(name, other, rung),
        };
        self.alone_by((kind.name(), &label), name, rung, tally, check)
    }

    /// Runs a check of what makes containers. `by` is its name in proofs, and the check's in results.
    pub(super) fn alone_by(
        &self,
        by: (&str, &str),
        name: &str,
        rung: Rung,
        tally: &mut Tally,
        check: impl FnOnce() -> anyhow::Result<Option<String>>,
    ) -> anyhow::Result<()> {
        let is_left_out =
            self.flags.conformance.as_ref().is_some_and(|checks| !checks.iter().any(|check| check == name));
        if is_left_out || !self.flags.wants(name) {
            return Ok(());
        }
        let (maker, label) = by;
        if let Some(why) = self.flags.leaves_out_own_daemons(rung) {
            tally.skip(label, why);
            return Ok(());
        }
        let result = check();
        if !matches!(result, Ok(Some(_))) {
            self.ledger.check(Some(rung), maker, name, result.is_ok());
        }
        tally.settle(label, result)
    }
}
