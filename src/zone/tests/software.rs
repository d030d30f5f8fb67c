//! Applications that an administrator makes, by the management API.

use super::*;

/// An application, and the client that speaks for it.
pub(super) struct Software {
    pub(super) id: String,
    pub(super) client: Agent,
}

impl Scene {
    pub(super) async fn manage(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let token = self.token(&["admin"]).await;
        let send = async |method: &str, path: &str, body: Option<Value>| {
            let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
            let request = request.header("authorization", format!("Bearer {token}"));
            let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
            self.send(request.body(body).unwrap()).await
        };
        let zones = send("GET", "/zones", None).await.body;
        let path = path.replace("{zone}", zones["items"][0]["id"].as_str().unwrap());
        let reply = send(method, &path, body).await;
        assert!(reply.status.is_success(), "{method} {path}: {} {}", reply.status, reply.body);
        reply.body
    }

    pub(super) async fn application(&self, name: &str) -> String {
        let body = json!({"name": name, "identifier": format!("https://{name}.example")});
        let made = self.manage("POST", "/zones/{zone}/applications", Some(body)).await;
        made["id"].as_str().unwrap().to_owned()
    }

    /// A credential of an application.
    pub(super) async fn credential(&self, body: Value) -> Value {
        self.manage("POST", "/zones/{zone}/application-credentials", Some(body)).await
    }

    /// An application with a secret.
    pub(super) async fn software(&self, name: &str) -> Software {
        let id = self.application(name).await;
        let made = self.credential(json!({"application_id": id, "type": "password"})).await;
        let word = |name: &str| made[name].as_str().unwrap().to_owned();
        Software { client: Agent { id: word("identifier"), secret: word("password") }, id }
    }

    async fn resource_id(&self, identifier: &str) -> String {
        let path = format!("/zones/{{zone}}/resources?{}", encode(&[("identifier", identifier)]));
        let found = self.manage("GET", &path, None).await;
        found["items"][0]["id"].as_str().unwrap().to_owned()
    }

    /// Lets the application ask for the resource.
    pub(super) async fn let_depend(&self, application: &str, resource: &str) {
        let resource = self.resource_id(resource).await;
        let path = format!("/zones/{{zone}}/applications/{application}/dependencies/{resource}");
        self.manage("PUT", &path, None).await;
    }

    /// Says that the resource is the application's own API.
    pub(super) async fn own(&self, application: &str, resource: &str) {
        // What the configuration declares is not changed over HTTP.
        let sql = match resource {
            WHOAMI => "UPDATE resources SET application_id = $1 WHERE identifier = 'https://whoami.valetkey.internal'",
            _ => "UPDATE resources SET application_id = $1 WHERE identifier = 'https://notes.example/api'",
        };
        self.zone.store().execute(sql, application).await;
    }

    /// Vouches for the application: no person is asked.
    pub(super) async fn vouch(&self, application: &str) {
        let path = format!("/zones/{{zone}}/applications/{application}");
        self.manage("PATCH", &path, Some(json!({"consent": "implicit"}))).await;
    }
}
