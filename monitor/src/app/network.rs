//! The addresses that are watched: known services, those of this node, and the API server's.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};

use monitor_common::network::{self, Address, address};

use crate::bpf::Control;
use crate::detect::NetworkFacts;

/// Most addresses of this node that are kept; the map holds 1,024.
const MAX_NODE: usize = 900;

/// Reads the facts of this host.
pub(super) fn read() -> NetworkFacts {
    // Process 1 may not let itself be looked at; the first kernel thread is in the initial namespaces, too.
    let text = |name: &str| {
        let of = |pid: u32| fs::read_to_string(format!("/proc/{pid}/net/{name}"));
        of(1).or_else(|_| of(2)).unwrap_or_default()
    };
    let (fib, v6) = (text("fib_trie"), text("if_inet6"));
    let mut node: Vec<Address> =
        local_v4(&fib).map(|a| network::mapped(a.octets())).chain(local_v6(&v6)).collect();
    node.sort_unstable();
    node.dedup();
    node.truncate(MAX_NODE);
    let variable = |name: &str| std::env::var(name).ok();
    NetworkFacts {
        api_server: api_server(
            variable("KUBERNETES_SERVICE_HOST").as_deref(),
            variable("KUBERNETES_SERVICE_PORT").as_deref(),
        ),
        node,
    }
}

/// Tells the kernel side of them.
///
/// # Errors
/// The map is full, or the kernel refused.
pub(super) fn watch(control: &mut Control, facts: &NetworkFacts) -> Result<(), String> {
    let mut classes: std::collections::BTreeMap<Address, u32> = std::collections::BTreeMap::new();
    let node = facts.node.iter().map(|a| (*a, address::NODE));
    let server = facts.api_server.iter().map(|(a, _)| (*a, address::API_SERVER));
    let known = network::METADATA.iter().map(|a| (*a, address::METADATA));
    for (address, class) in node.chain(server).chain(known).chain([(network::CANARY, address::CANARY)]) {
        *classes.entry(address).or_default() |= class;
    }
    classes.into_iter().try_for_each(|(address, class)| control.watch_address(address, class))
}

/// The API server as pods are told of it: only an address is used, a name is not looked up.
fn api_server(host: Option<&str>, port: Option<&str>) -> Option<(Address, u16)> {
    let address = match host?.trim().parse().ok()? {
        IpAddr::V4(v4) => network::mapped(v4.octets()),
        IpAddr::V6(v6) => v6.octets(),
    };
    Some((address, port.and_then(|p| p.trim().parse().ok()).unwrap_or(443)))
}

/// The local addresses in the text of `/proc/net/fib_trie`, without those of the loopback: a leaf `|-- ADDRESS`
/// with `/32 host LOCAL` below it.
fn local_v4(text: &str) -> impl Iterator<Item = Ipv4Addr> + '_ {
    let mut leaf = None;
    text.lines()
        .filter_map(move |line| {
            let line = line.trim();
            if let Some(address) = line.strip_prefix("|-- ") {
                leaf = address.parse::<Ipv4Addr>().ok();
            }
            leaf.filter(|_| line == "/32 host LOCAL")
        })
        .filter(|address| !address.is_loopback())
}

/// The addresses in the text of `/proc/net/if_inet6`, without the loopback's: 32 hexadecimal digits first.
fn local_v6(text: &str) -> impl Iterator<Item = Address> + '_ {
    text.lines()
        .filter_map(|line| u128::from_str_radix(line.get(..32)?, 16).ok())
        .filter(|address| *address != 1)
        .map(u128::to_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_node() {
        let fib = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     |-- 10.0.0.7\n        \
                   /32 host LOCAL\n     |-- 10.0.0.255\n        /32 link BROADCAST\n     |-- 127.0.0.1\n        /32 host \
                   LOCAL\n";
        assert_eq!(local_v4(fib).collect::<Vec<_>>(), [Ipv4Addr::new(10, 0, 0, 7)]);
        let v6 = "fe80000000000000004200fffe000001 02 40 20 80     eth0\n00000000000000000000000000000001 01 80 10 80 \
                  lo\nshort\n";
        assert_eq!(local_v6(v6).count(), 1);
    }

    #[test]
    fn only_an_address_names_the_api_server() {
        let v4 = network::mapped([10, 96, 0, 1]);
        assert_eq!(api_server(Some("10.96.0.1"), Some("6443")), Some((v4, 6443)));
        assert_eq!(api_server(Some("10.96.0.1"), None), Some((v4, 443)));
        assert_eq!(api_server(Some("kubernetes.default"), Some("443")), None);
        assert_eq!(api_server(None, None), None);
    }
}
