//! The metadata of Kubernetes' objects (`PartialObjectMetadata` and its list, `Status`, and what a watch says), as far
//! as it is read. Whatever a list or a map could become in memory is bounded as it is read.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};

use super::{MAX_PODS, Told};
use crate::container::{Owner, keeps_label, nullable};

/// What `GET /version` says.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Version {
    #[serde(rename = "gitVersion", deserialize_with = "nullable")]
    pub(super) git_version: String,
}

/// A list of objects.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct List {
    #[serde(deserialize_with = "nullable")]
    pub(super) metadata: ListMeta,
    #[serde(deserialize_with = "items")]
    pub(super) items: Vec<Object>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ListMeta {
    #[serde(rename = "resourceVersion", deserialize_with = "nullable")]
    pub(super) resource_version: String,
    /// Where the next page begins; empty for the last.
    #[serde(rename = "continue", deserialize_with = "nullable")]
    pub(super) next: String,
}

/// An object, or the `Status` in its place.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Object {
    #[serde(deserialize_with = "nullable")]
    pub(super) metadata: Meta,
    /// Of a `Status`: as in HTTP.
    #[serde(deserialize_with = "nullable")]
    pub(super) code: u16,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Meta {
    #[serde(deserialize_with = "nullable")]
    name: String,
    #[serde(deserialize_with = "nullable")]
    namespace: String,
    #[serde(deserialize_with = "nullable")]
    uid: String,
    #[serde(deserialize_with = "nullable")]
    pub(super) resource_version: String,
    #[serde(deserialize_with = "texts")]
    pub(super) labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "nullable")]
    annotations: Annotations,
    #[serde(rename = "ownerReferences", deserialize_with = "controller")]
    pub(super) controller: Option<Reference>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Annotations {
    /// Of the mirror of a static pod: the uid by which the node knows it.
    #[serde(rename = "kubernetes.io/config.mirror", deserialize_with = "nullable")]
    mirror: String,
}

/// Who owns an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Reference {
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) name: String,
    #[serde(deserialize_with = "nullable")]
    controller: bool,
}

impl Reference {
    pub(super) fn owner(&self) -> Owner {
        Owner { kind: self.kind.clone(), name: self.name.clone() }
    }
}

/// What a watch says: one line.
#[derive(Deserialize)]
pub(super) struct Change {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) object: Object,
}

impl Meta {
    /// The uid by which the node knows this pod.
    pub(super) fn uid_on_node(&self) -> &str {
        let mirror = self.annotations.mirror.as_str();
        if mirror.is_empty() { &self.uid } else { mirror }
    }

    /// This pod, with its owner.
    pub(super) fn told(self, owner: Option<Owner>) -> Told {
        let uid = self.uid_on_node().to_owned();
        Told { uid, namespace: self.namespace, name: self.name, labels: self.labels, owner }
    }

    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }
}

/// Reads a list item by item, and lets `take` say what of it is kept.
struct Each<T, R, F>(F, R, PhantomData<T>);

impl<'de, T: Deserialize<'de>, R, F: FnMut(&mut R, T) -> Result<(), String>> Visitor<'de> for Each<T, R, F> {
    type Value = R;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_unit<E: de::Error>(self) -> Result<R, E> {
        Ok(self.1)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<R, A::Error> {
        let Self(mut take, mut out, _) = self;
        while let Some(item) = list.next_element()? {
            take(&mut out, item).map_err(de::Error::custom)?;
        }
        Ok(out)
    }
}

fn items<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Object>, D::Error> {
    let take = |out: &mut Vec<Object>, item| {
        if out.len() >= MAX_PODS {
            return Err(format!("more than {MAX_PODS} pods"));
        }
        out.push(item);
        Ok(())
    };
    from.deserialize_any(Each(take, Vec::new(), PhantomData))
}

/// The one owner that controls the object.
fn controller<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Reference>, D::Error> {
    let take = |out: &mut Option<Reference>, reference: Reference| {
        if reference.controller && out.is_none() {
            *out = Some(reference);
        }
        Ok(())
    };
    from.deserialize_any(Each(take, None, PhantomData))
}

/// Labels, as many as are kept of anything.
fn texts<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    struct Texts;
    impl<'de> Visitor<'de> for Texts {
        type Value = BTreeMap<String, String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("labels")
        }

        fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
            Ok(BTreeMap::new())
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut out = BTreeMap::new();
            while let Some(key) = map.next_key::<String>()? {
                if !keeps_label(out.len(), &key, "") {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
                let value: String = map.next_value()?;
                if keeps_label(out.len(), &key, &value) {
                    out.insert(key, value);
                }
            }
            Ok(out)
        }
    }
    from.deserialize_any(Texts)
}
