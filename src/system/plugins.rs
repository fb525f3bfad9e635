//! `sys/plugins`: the built-in backends as a catalog, and forgetting what a backend caches. There are no others:
//! nothing can be registered.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::core::mount::RUNNING_VERSION;
use crate::core::mounts::Mounts;
use crate::logical::Access::{Sudo, Token};
use crate::logical::field::Fields;
use crate::logical::{Answer, Call, Effect, Fault, Field, FieldKind, Method, Response, Route, Routes, WRITE};

/// Kinds of backends there are, by the wire's name of their class.
#[derive(Debug, Clone)]
pub struct Catalog {
    pub auth: Vec<&'static str>,
    pub secret: Vec<&'static str>,
}

/// See the module.
#[derive(Debug)]
pub struct PluginEndpoints {
    mounts: Arc<Mounts>,
    catalog: Catalog,
    routes: Routes<Self>,
}

const PLUGIN_FIELDS: &[Field] = &[
    Field { name: "name", kind: FieldKind::String, description: "The name of the plugin." },
    Field { name: "type", kind: FieldKind::String, description: "The type of the plugin: auth or secret." },
    Field { name: "sha256", kind: FieldKind::String, description: "The SHA-256 sum of the executable." },
    Field { name: "command", kind: FieldKind::String, description: "The command that starts the plugin." },
    Field { name: "args", kind: FieldKind::List, description: "Arguments of the command." },
    Field { name: "env", kind: FieldKind::List, description: "Environment of the command." },
    Field { name: "version", kind: FieldKind::String, description: "The version of the plugin." },
];

const RELOAD_FIELDS: &[Field] = &[
    Field { name: "plugin", kind: FieldKind::String, description: "The name of the plugin to reload." },
    Field { name: "mounts", kind: FieldKind::CommaList, description: "The mount paths to reload." },
    Field { name: "scope", kind: FieldKind::String, description: "Empty or global." },
];

const ROUTES: &[Route<PluginEndpoints>] = &[
    Route::new(
        "plugins/catalog",
        Sudo,
        &[Method::read(PluginEndpoints::read_all)],
        &[],
        "List the plugins of the catalog.",
    ),
    Route::new(
        "plugins/catalog/{type}/?",
        Sudo,
        &[Method::list(PluginEndpoints::list), Method::read(PluginEndpoints::read_untyped)],
        PLUGIN_FIELDS,
        "List the plugins of a type.",
    ),
    Route::new(
        "plugins/catalog/{type}/{name}",
        Sudo,
        &[
            Method::read(PluginEndpoints::read),
            Method::write(|_, _| Err(built_in())),
            Method::delete(|_, _| Ok(Response::empty())),
        ],
        PLUGIN_FIELDS,
        "A plugin of the catalog.",
    ),
    Route::new(
        "plugins/reload/backend",
        Token,
        &[Method::new(WRITE, Effect::Local, PluginEndpoints::reload)],
        RELOAD_FIELDS,
        "Forget what the backends of a plugin or mount have in memory.",
    ),
];

// === impl PluginEndpoints ===

impl PluginEndpoints {
    #[must_use]
    pub fn new(mounts: Arc<Mounts>, catalog: Catalog) -> Self {
        Self { mounts, catalog, routes: Routes::new(ROUTES) }
    }

    fn read_all(&self, _call: &mut Call<'_>) -> Answer {
        let rows = |class: &'static str| self.kinds(class).iter().map(move |name| detail(class, name));
        let detailed: Vec<Value> = rows("auth").chain(rows("secret")).collect();
        Ok(Response::json(json!({
            "auth": self.catalog.auth,
            "detailed": detailed,
            "secret": self.catalog.secret,
        })))
    }

    fn list(&self, call: &mut Call<'_>) -> Answer {
        let class = call.captures.get("type");
        if !matches!(class, "auth" | "secret" | "database") {
            return Err(Fault::UnsupportedOperation);
        }
        Ok(Response::keys(self.kinds(class).iter().map(|name| (*name).to_owned()).collect()))
    }

    fn read_untyped(&self, call: &mut Call<'_>) -> Answer {
        let name = call.captures.get("type");
        let warning =
            format!("Deprecated API endpoint, cannot read plugin information from catalog for {name:?}");
        Ok(Response { status: Some(200), ..Response::empty() }.with_warning(warning))
    }

    fn read(&self, call: &mut Call<'_>) -> Answer {
        let (class, name) = (call.captures.get("type"), call.captures.get("name"));
        if !self.kinds(class).contains(&name) {
            return Ok(Response::empty());
        }
        Ok(Response::json(json!({
            "args": null,
            "builtin": true,
            "command": "",
            "declarative": false,
            "deprecation_status": "supported",
            "name": name,
            "oci": false,
            "sha256": "",
            "version": RUNNING_VERSION,
        })))
    }

    fn kinds(&self, class: &str) -> &[&'static str] {
        match class {
            "auth" => &self.catalog.auth,
            "secret" => &self.catalog.secret,
            _ => &[],
        }
    }

    /// Backends keep in memory only what they declare by their keys, so forgetting is all a reload can be.
    fn reload(&self, call: &mut Call<'_>) -> Answer {
        let fields = Fields::new(&call.request.data);
        let plugin = fields.text("plugin")?.unwrap_or_default();
        let mounts = fields.list("mounts")?.unwrap_or_default();
        match (plugin.is_empty(), mounts.is_empty()) {
            (true, true) => return Err(Fault::invalid("plugin or mounts must be provided")),
            (false, false) => {
                return Err(Fault::invalid("plugin and mounts cannot be set at the same time"));
            }
            (false, true) => self.forget(|_, kind| kind == plugin),
            (true, false) => {
                let paths: Vec<String> =
                    mounts.iter().map(|path| format!("{}/", path.trim_matches('/'))).collect();
                self.check_mounts(&paths)?;
                self.forget(|path, _| paths.iter().any(|wanted| wanted == path));
            }
        }
        Ok(Response::json(json!({ "reload_id": &*call.request.id })))
    }

    fn check_mounts(&self, paths: &[String]) -> Result<(), Fault> {
        let router = self.mounts.router();
        let unknown = paths.iter().find(|path| !router.mounts().any(|mounted| mounted.info.path == **path));
        unknown.map_or(Ok(()), |path| {
            let text = format!("1 error occurred:\n\t* cannot fetch mount entry on {path:?}\n\n");
            Err(Fault::Invalid(text))
        })
    }

    fn forget(&self, wanted: impl Fn(&str, &str) -> bool) {
        let router = self.mounts.router();
        router
            .mounts()
            .filter(|mounted| wanted(&mounted.info.path, &mounted.info.kind))
            .for_each(|mounted| mounted.backend.changed(None));
    }
}

fn built_in() -> Fault {
    Fault::invalid("this server has built-in plugins only; none can be registered")
}

fn detail(class: &str, name: &str) -> Value {
    json!({
        "builtin": true,
        "deprecation_status": "supported",
        "name": name,
        "type": class,
        "version": RUNNING_VERSION,
    })
}

impl super::Tabled for PluginEndpoints {
    fn routes(&self) -> &Routes<Self> {
        &self.routes
    }
}
