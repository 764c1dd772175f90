//! runc, called directly.

use std::rc::Rc;

use super::oci::{Oci, View};
use super::{Env, need};

pub(super) fn open(env: Rc<Env>) -> anyhow::Result<Oci> {
    Oci::open(env, need("runc")?, View::Host)
}
