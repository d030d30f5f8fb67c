//! Lists of the management API among a hundred thousand rows of each kind, where PostgreSQL makes its plans by what it
//! counted: no filter and no order reads a whole table.
//!
//! Which lists, filters and orders there are, the zone's own description says; which plans were used, the database's
//! log. A filter that is added without an index fails here.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::io::Seek as _;
use std::io::SeekFrom;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use serde_json::json;

use crate::zone_alone::Alone;
use crate::zone_alone::postgres;

/// What PostgreSQL reckons for reading a table of few rows; those here cost thousands.
const SMALL_COST: f64 = 500.0;
const ROWS: u32 = 100_000;

/// Table, columns, and values of row `i`; half of the rows are another zone's.
const FILLED: [(&str, &str, &str); 9] = [
    ("applications", "kind, slug, identifier, name", "'software', 'n-' || i, 'urn:n:' || i, 'n ' || i"),
    ("application_credentials", "application_id, type, slug, identifier", "'n' || i, 'public', 'c-' || i, 'c' || i"),
    ("providers", "slug, identifier, name", "'p-' || i, 'urn:p:' || i, 'p ' || i"),
    ("resources", "origin, slug, identifier, name", "'api', 'r-' || i, 'urn:r:' || i, 'r ' || i"),
    ("users", "identifier, email", "'u' || i, 'u' || i || '@n.example'"),
    ("user_agents", "slug, identifier, name", "'a-' || i, 'ua_n' || i, 'a ' || i"),
    (
        "grants",
        "user_id, client_id, resource_id, provider_id, scopes, expires_at",
        "'n' || i, 'c', 'n' || i, 'p', 'read', 9000000000000",
    ),
    (
        "sessions",
        "session_type, user_id, client_id, provider_id, issuer, subject, authenticated_at, expires_at",
        "'user', 'n' || i, 'c', 'p', 'i', 's', 1, 9000000000000",
    ),
    ("policies", "name, created_by", "'n ' || i, 'x'"),
];

fn fill(url: &str, zones: [&str; 2]) {
    let (server, schema) = url.split_once("?options[search_path]=").unwrap();
    // What the rows speak of need not be there.
    let mut sql = format!("SET search_path = {schema}; SET session_replication_role = replica;");
    for (table, columns, values) in FILLED {
        let [one, two] = zones;
        sql += &format!(
            "INSERT INTO {table} (id, zone_id, created_at, updated_at, {columns})
             SELECT 'n' || i, CASE WHEN i % 2 = 0 THEN '{one}' ELSE '{two}' END, i, i, {values}
             FROM generate_series(1, {ROWS}) i;
             ANALYZE {table};"
        );
    }
    assert!(Command::new("psql").args([server, "-qc", &sql]).status().unwrap().success());
}

/// The tests' server's log, from its end on.
struct Log {
    file: PathBuf,
    read: u64,
}

impl Log {
    fn open() -> Self {
        let state = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tmp/postgres/folder");
        let file = Path::new(&fs::read_to_string(state).unwrap()).join("log");
        let read = fs::metadata(&file).unwrap().len();
        Self { file, read }
    }

    /// The plans since the last look, each with its query.
    fn plans(&mut self) -> Vec<String> {
        let mut file = fs::File::open(&self.file).unwrap();
        file.seek(SeekFrom::Start(self.read)).unwrap();
        let mut text = Vec::new();
        self.read += u64::try_from(file.read_to_end(&mut text).unwrap()).unwrap();
        let text = String::from_utf8_lossy(&text).into_owned();
        text.split(" ms  plan:").skip(1).map(|plan| plan.split(" LOG: ").next().unwrap().to_owned()).collect()
    }
}

/// What the description has of each list: its path, and the queries that it can be asked with.
fn lists(description: &Value, places: &[(&str, &str)]) -> BTreeMap<String, Vec<String>> {
    let mut lists = BTreeMap::new();
    for (path, methods) in description["paths"].as_object().unwrap() {
        let parameters = methods["get"]["parameters"].as_array().cloned().unwrap_or_default();
        let named = |parameter: &Value| parameter["name"].as_str().unwrap().to_owned();
        let queries: Vec<&Value> = parameters.iter().filter(|parameter| parameter["in"] == "query").collect();
        if !queries.iter().any(|parameter| named(parameter) == "limit") {
            continue;
        }
        let path = places.iter().fold(path.clone(), |path, (name, value)| path.replace(name, value));
        let mut asked = vec!["limit=2".to_owned()];
        for parameter in queries {
            let name = named(parameter);
            if ["limit", "after", "before", "cursor", "expand[]", "order", "format"].contains(&name.as_str()) {
                continue;
            }
            // Its legal values are what stands between backticks.
            let words = parameter["description"].as_str().unwrap_or_default();
            let mut legal: Vec<&str> = words.split('`').skip(1).step_by(2).collect();
            if legal.is_empty() {
                legal = vec!["x", "true"];
            }
            asked.extend(legal.iter().map(|value| format!("limit=2&{name}={value}")));
        }
        lists.insert(path, asked);
    }
    lists
}

#[test]
fn no_filter_and_no_order_of_a_list_reads_a_whole_table_of_a_hundred_thousand_rows() {
    let url = postgres();
    let alone = Alone::start(&format!(
        "{url}&options[session_preload_libraries]=auto_explain&options[auto_explain.log_min_duration]=0"
    ));
    let token = alone.valetkey(&["token", "create", "--name", "ci", "--scope", "admin"]);
    let zone = alone.ask(&token, "GET", "/zones", None).2["items"][0].clone();
    let (zone, organization) = (zone["id"].as_str().unwrap(), zone["organization_id"].as_str().unwrap());
    let other = alone.ask(&token, "POST", "/zones", Some(json!({"name": "Other"}))).2;
    fill(&url, [zone, other["id"].as_str().unwrap()]);
    let description = alone.ask("", "GET", "/openapi.json", None).2;
    let places = [("{zone_id}", zone), ("{organization_id}", organization), ("{id}", "n2"), ("{application_id}", "n2")];
    let (mut asked, mut answered, mut read, mut log) = (0, 0, 0, Log::open());
    for (path, queries) in lists(&description, &places) {
        for query in queries {
            let query = query.replace('[', "%5B").replace(']', "%5D");
            let (status, _, page) = alone.ask(&token, "GET", &format!("{path}?{query}"), None);
            assert!(status < 500, "{path}?{query}: {page}");
            if let Some(after) = page["page_info"]["end_cursor"].as_str() {
                alone.ask(&token, "GET", &format!("{path}?{query}&after={after}"), None);
            }
            (asked, answered) = (asked + 1, answered + u32::from(status == 200));
            for plan in log.plans() {
                read += 1;
                for step in plan.lines().filter(|line| line.contains("Seq Scan on ")) {
                    let cost = step.split("..").nth(1).unwrap().split(' ').next().unwrap();
                    assert!(cost.parse::<f64>().unwrap() < SMALL_COST, "{path}?{query}: {plan}");
                }
            }
        }
    }
    eprintln!("{asked} questions, {answered} answered, {read} plans read");
    assert!(answered >= 40 && read > answered, "{asked} asked, {answered} answered, {read} plans");
}
