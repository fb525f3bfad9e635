//! The listeners of the running generation, and the step from one generation to the next: everything that can fail
//! (binding, certificates) happens before anything changes.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::config::proxy::{self as config, Bind};
use crate::net::listener::{self as net, Address, Bound};
use crate::net::tls::ReloadableServerTls;
use crate::proxy::client::Listener;
use crate::proxy::metrics::{CertificateExpiry, CertificateOwner, Metrics};
use crate::proxy::rate::{ConnectionCounter, RateLimiter};
use crate::proxy::rules::Glob;
use crate::proxy::worker::Command;

use super::parts::StartError;

/// One open listener.
#[derive(Debug)]
pub(super) struct OpenListener {
    pub(super) listener: Listener,
    /// As configured and as bound (the same but for port 0).
    binds: Vec<(Bind, Address)>,
}

/// What a step to the next generation will do; nothing of it has happened to the workers yet.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) open: Vec<OpenListener>,
    /// Per worker, in order: what to tell it.
    pub(super) commands: Vec<Vec<Command>>,
}

/// Prepares the listeners of `configured` next to those in `open`.
///
/// # Errors
/// An address cannot be bound or a certificate cannot be used: then nothing changes.
pub(super) fn prepare(
    configured: &[config::Listener],
    process_limit: usize,
    open: &[OpenListener],
    workers: usize,
    metrics: &Metrics,
) -> Result<Prepared, StartError> {
    let mut prepared = Prepared { open: Vec::new(), commands: (0..workers).map(|_| Vec::new()).collect() };
    for settings in configured {
        let old = open.iter().find(|known| known.listener.config.name == settings.name);
        prepared.listener(settings, process_limit, old, metrics)?;
    }
    for gone in open.iter().map(|known| &known.listener.config.name) {
        if !configured.iter().any(|settings| settings.name == *gone) {
            prepared.each(|| Command::Close { name: gone.clone() });
        }
    }
    Ok(prepared)
}

// === impl Prepared ===

impl Prepared {
    fn listener(
        &mut self,
        settings: &config::Listener,
        process_limit: usize,
        old: Option<&OpenListener>,
        metrics: &Metrics,
    ) -> Result<(), StartError> {
        let listener = build(settings, process_limit, old.map(|old| &old.listener), metrics)?;
        let mut binds = Vec::new();
        let mut bound: Vec<Vec<(Address, Bound)>> = self.commands.iter().map(|_| Vec::new()).collect();
        for bind in &settings.binds {
            if let Some(known) = old.and_then(|old| old.binds.iter().find(|(known, _)| known == bind)) {
                binds.push(known.clone());
                continue;
            }
            let (address, sockets) = bind_everywhere(bind, bound.len())?;
            for (worker, socket) in bound.iter_mut().zip(sockets) {
                worker.push((address.clone(), socket));
            }
            binds.push((bind.clone(), address));
        }
        let addresses: Vec<Address> = binds.iter().map(|(_, address)| address.clone()).collect();
        for (commands, bound) in self.commands.iter_mut().zip(bound) {
            let (listener, addresses) = (listener.clone(), addresses.clone());
            commands.push(Command::Listen { listener: Box::new(listener), addresses, bound });
        }
        self.open.push(OpenListener { listener, binds });
        Ok(())
    }

    fn each(&mut self, command: impl Fn() -> Command) {
        self.commands.iter_mut().for_each(|commands| commands.push(command()));
    }
}

/// Binds the address for every worker, after making sure that nobody else has it. Port 0 is chosen once.
fn bind_everywhere(bind: &Bind, workers: usize) -> Result<(Address, Vec<Bound>), StartError> {
    let address = match bind {
        Bind::Tcp(address) => Address::Tcp(*address),
        Bind::Unix(path) => Address::Unix(path.clone()),
    };
    net::is_free(&address)?;
    let mut sockets = net::bind(&address, 1)?;
    let address = match sockets.first() {
        Some(Bound::Tcp(first)) => first.local_addr().map_or(address, Address::Tcp),
        Some(Bound::Unix(_)) | None => address,
    };
    if workers > 1 {
        match &address {
            Address::Tcp(_) => sockets.extend(net::bind(&address, workers - 1)?),
            Address::Unix(_) => sockets = net::share(sockets, workers).map_err(StartError::Admin)?,
        }
    }
    Ok((address, sockets))
}

/// The listener's shared parts; counters and certificates that did not change are kept.
fn build(
    settings: &config::Listener,
    process_limit: usize,
    old: Option<&Listener>,
    metrics: &Metrics,
) -> Result<Listener, StartError> {
    let kept_tls = old.filter(|old| old.config.tls == settings.tls).and_then(|old| old.tls.clone());
    let tls = match (&settings.tls, kept_tls) {
        (None, _) => None,
        (Some(_), Some(kept)) => {
            kept.reload()?;
            Some(kept)
        }
        (Some(tls), None) => Some(Arc::new(ReloadableServerTls::load(tls)?)),
    };
    let limits = &settings.limits;
    let same_rate = old.filter(|old| old.config.limits.rate == limits.rate);
    let same_per_ip =
        old.filter(|old| old.config.limits.max_connections_per_ip == limits.max_connections_per_ip);
    let rates = match same_rate {
        Some(old) => old.rates.clone(),
        None => (limits.rate.requests_per_second > 0.0)
            .then(|| Arc::new(Mutex::new(RateLimiter::new(limits.rate)))),
    };
    let per_client = match same_per_ip {
        Some(old) => old.per_client.clone(),
        None => (limits.max_connections_per_ip > 0)
            .then(|| Arc::new(Mutex::new(ConnectionCounter::new(limits.max_connections_per_ip)))),
    };
    Ok(Listener {
        config: Arc::new(settings.clone()),
        tls,
        slot: metrics.listener(&settings.name),
        upgrades: Arc::new(settings.upgrades.iter().map(|glob| Glob::new(glob)).collect()),
        rates,
        per_client,
        connections: old.map(|old| Arc::clone(&old.connections)).unwrap_or_default(),
        process_limit,
    })
}

// === impl OpenListener ===

impl OpenListener {
    pub(super) fn addresses(&self) -> impl Iterator<Item = (String, Address)> {
        let name = &self.listener.config.name;
        self.binds.iter().map(|(_, address)| (name.clone(), address.clone()))
    }

    /// Loads certificates that changed on disk; a bad file keeps the old ones.
    pub(super) fn refresh_certificates(&self) {
        let Some(tls) = self.listener.tls.as_ref().filter(|tls| tls.changed()) else { return };
        match tls.reload() {
            Ok(()) => tracing::info!(listener = %self.listener.config.name, "certificates were reloaded"),
            Err(error) => {
                tracing::error!(listener = %self.listener.config.name, %error, "the old certificates stay in use");
            }
        }
    }

    /// The process goes: its socket files would only be in the way.
    pub(super) fn remove_socket_files(&self) {
        for (_, address) in &self.binds {
            let Address::Unix(path) = address else { continue };
            if let Err(error) = std::fs::remove_file(path) {
                tracing::debug!(%error, path = %path.display(), "a socket file stays");
            }
        }
    }

    pub(super) fn certificates(&self) -> Vec<CertificateExpiry> {
        let Some(tls) = &self.listener.tls else { return Vec::new() };
        let name = &self.listener.config.name;
        tls.certificates()
            .into_iter()
            .map(|certificate| CertificateExpiry {
                owner: CertificateOwner::Listener(name.clone()),
                certificate: file_name(&certificate.file),
                not_after: certificate.not_after_unix_seconds,
            })
            .collect()
    }
}

fn file_name(path: &std::path::Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
