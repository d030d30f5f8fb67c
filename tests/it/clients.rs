//! Real clients, as they come, through the daemon: nothing is told to them but the environment of `run`.

use std::fs;
use std::path::Path;
use std::process::Command;

use hyper::Version;
use serde_json::json;

use crate::world::Listing;
use crate::world::Outcome;
use crate::world::Plan;
use crate::world::TOKEN;
use crate::world::UP;
use crate::world::Upstream;
use crate::world::World;
use crate::world::tool;

/// The upstream saw the token on every request, and nothing of the session.
#[track_caller]
fn injected(up: &Upstream) {
    let requests = up.requests();
    assert!(!requests.is_empty());
    for seen in requests {
        assert_eq!(seen.header("authorization"), Some(format!("Bearer {TOKEN}").as_str()), "{seen:#?}");
        assert_eq!(seen.header("proxy-authorization"), None, "{seen:#?}");
    }
}

/// A program of python in the prepared environment.
async fn python(world: &World, program: &str) -> Outcome {
    let python = tool("venv/bin/python");
    world.run("python", &[python.to_str().unwrap(), "-c", program]).await.expect(0)
}

/// A program of node with the prepared packages.
async fn node(world: &World, environment: &[(&str, &str)], program: &str) -> Outcome {
    let file = tool("node_modules").with_file_name("node_modules/.vk-test");
    fs::create_dir_all(&file).unwrap();
    let file = file.join(format!("{}.mjs", world.proxy_port));
    fs::write(&file, program).unwrap();
    let outcome = world.run_with("node", environment, &["node", file.to_str().unwrap()]).await;
    fs::remove_file(&file).unwrap();
    outcome.expect(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_speaks_both_versions() {
    for (flag, version) in [("--http1.1", Version::HTTP_11), ("--http2", Version::HTTP_2)] {
        let up = Upstream::both().await;
        let world = World::usual(&up).await;
        let format = "\n%{http_version} %{http_code}";
        let outcome =
            world.run("curl", &["curl", "-sS", flag, "-w", format, "-d", "a=b", "https://up.example.test/echo"]).await;
        let outcome = outcome.expect(0);
        let said = if version == Version::HTTP_2 { "\n2 200" } else { "\n1.1 200" };
        assert!(outcome.stdout.ends_with(said), "{outcome:?}");
        injected(&up);
        assert_eq!(up.only_request().method, "POST");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_says_why_it_was_refused() {
    let up = Upstream::h1().await;
    let plan = Plan::new().secret("api", TOKEN).resource(&Listing::of(UP, &up));
    let world = plan.policy("none", "forbid(principal, action, resource);\n").start().await;
    let outcome = world.run("curl", &["curl", "-sS", "https://up.example.test/echo"]).await.expect(0);
    assert_eq!(outcome.json()["status"], 403);
    assert_eq!(up.requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn git_clones_fetches_and_pushes_over_smart_http() {
    let up = Upstream::tls(&["git.example.test"], &[b"h2", b"http/1.1"]).await;
    let plan = Plan::new().secret("api", TOKEN).resource(&Listing::of("git.example.test", &up)).permit_all();
    let world = plan.start().await;
    let root = world.home().join("repositories");
    let git = |folder: &Path, args: &[&str]| {
        let config = ["-c", "user.name=t", "-c", "user.email=t@example.test", "-c", "init.defaultBranch=main"];
        let status = Command::new("git").args(config).args(args).current_dir(folder).output().unwrap();
        assert!(status.status.success(), "git {args:?}: {status:?}");
    };
    fs::create_dir_all(root.join("work")).unwrap();
    git(&root, &["init", "-q", "--bare", "demo.git"]);
    git(&root.join("demo.git"), &["config", "http.receivepack", "true"]);
    git(&root.join("work"), &["init", "-q"]);
    fs::write(root.join("work/file"), "content".repeat(10_000)).unwrap();
    git(&root.join("work"), &["add", "."]);
    git(&root.join("work"), &["commit", "-q", "-m", "one"]);
    git(&root.join("work"), &["push", "-q", root.join("demo.git").to_str().unwrap(), "HEAD:main"]);
    up.git(&root);
    let target = world.home().join("clone");
    let url = "https://git.example.test/git/demo.git";
    world.run("git", &["git", "clone", "-q", "-b", "main", url, target.to_str().unwrap()]).await.expect(0);
    assert_eq!(fs::read(target.join("file")).unwrap().len(), 70_000);
    fs::write(target.join("second"), "two").unwrap();
    git(&target, &["add", "."]);
    git(&target, &["commit", "-q", "-m", "two"]);
    let target = target.to_str().unwrap();
    world.run("git", &["git", "-C", target, "push", "-q", "origin", "HEAD:main"]).await.expect(0);
    world.run("git", &["git", "-C", target, "fetch", "-q"]).await.expect(0);
    injected(&up);
}

#[tokio::test(flavor = "multi_thread")]
async fn pip_downloads_from_an_index() {
    let up = Upstream::tls(&["pypi.example.test"], &[b"h2", b"http/1.1"]).await;
    let plan = Plan::new().secret("api", TOKEN).resource(&Listing::of("pypi.example.test", &up)).permit_all();
    let world = plan.start().await;
    let wheel = world.home().join("demo-1.0-py3-none-any.whl");
    let program = "import sys, zipfile\n\
                   z = zipfile.ZipFile(sys.argv[1], 'w')\n\
                   z.writestr('demo.py', 'x = 1\\n')\n\
                   z.writestr('demo-1.0.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: demo\\nVersion: 1.0\\n')\n\
                   z.writestr('demo-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')\n\
                   z.writestr('demo-1.0.dist-info/RECORD', '')\n\
                   z.close()\n";
    let python = tool("venv/bin/python");
    assert!(Command::new(&python).args(["-c", program]).arg(&wheel).status().unwrap().success());
    up.page("/simple/demo/", "text/html", "<a href=\"/files/demo-1.0-py3-none-any.whl\">demo-1.0-py3-none-any.whl</a>");
    up.page("/files/demo-1.0-py3-none-any.whl", "application/octet-stream", fs::read(&wheel).unwrap());
    let target = world.home().join("downloads");
    let command = [
        python.to_str().unwrap(),
        "-m",
        "pip",
        "--no-cache-dir",
        "--disable-pip-version-check",
        "download",
        "--no-deps",
        "-q",
        "-d",
        target.to_str().unwrap(),
        "--index-url",
        "https://pypi.example.test/simple/",
        "demo",
    ];
    world.run("pip", &command).await.expect(0);
    assert!(target.join("demo-1.0-py3-none-any.whl").exists());
    injected(&up);
}

#[tokio::test(flavor = "multi_thread")]
async fn npm_views_a_package() {
    let up = Upstream::tls(&["npm.example.test"], &[b"h2", b"http/1.1"]).await;
    let plan = Plan::new().secret("api", TOKEN).resource(&Listing::of("npm.example.test", &up)).permit_all();
    let world = plan.start().await;
    let package = json!({
        "_id": "demo", "name": "demo", "dist-tags": { "latest": "1.2.3" },
        "versions": { "1.2.3": { "name": "demo", "version": "1.2.3",
            "dist": { "tarball": "https://npm.example.test/demo-1.2.3.tgz", "shasum": "0000000000000000000000000000000000000000" } } },
    });
    up.page("/demo", "application/json", package.to_string());
    let command = ["npm", "view", "demo", "version", "--registry", "https://npm.example.test/", "--no-update-notifier"];
    let outcome = world.run("npm", &command).await.expect(0);
    assert_eq!(outcome.stdout.trim(), "1.2.3");
    injected(&up);
}

#[tokio::test(flavor = "multi_thread")]
async fn python_requests_httpx_aiohttp_and_urllib() {
    let up = Upstream::both().await;
    let world = World::usual(&up).await;
    let url = "https://up.example.test/echo";
    let programs = [
        format!(
            "import requests; r = requests.post('{url}', json={{'a': 1}}); assert r.status_code == 200, r; s = requests.Session(); [s.get('{url}').raise_for_status() for _ in range(3)]"
        ),
        format!("import httpx; r = httpx.get('{url}'); assert r.status_code == 200, r"),
        format!(
            "import httpx\nwith httpx.Client(http2=True) as c:\n  r = c.get('{url}'); assert (r.status_code, r.http_version) == (200, 'HTTP/2'), (r, r.http_version)"
        ),
        format!("import urllib.request; assert urllib.request.urlopen('{url}').status == 200"),
        format!(
            "import aiohttp, asyncio\nasync def main():\n  async with aiohttp.ClientSession(trust_env=True) as s:\n    async with s.get('{url}') as r: assert r.status == 200, r\nasyncio.run(main())"
        ),
    ];
    for program in programs {
        python(&world, &program).await;
    }
    injected(&up);
    assert_eq!(up.requests().len(), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn python_streams_events_one_by_one() {
    let up = Upstream::both().await;
    let world = World::usual(&up).await;
    up.release(3);
    let program = "import httpx\nwith httpx.stream('GET', 'https://up.example.test/sse?n=3') as r:\n  print([l for l in r.iter_lines() if l])";
    assert_eq!(python(&world, program).await.stdout.trim(), "['data: 0', 'data: 1', 'data: 2']");
}

#[tokio::test(flavor = "multi_thread")]
async fn node_with_undicis_agent_of_the_environment() {
    let up = Upstream::both().await;
    let world = World::usual(&up).await;
    let program = "import { EnvHttpProxyAgent, fetch } from 'undici';\n\
                   const dispatcher = new EnvHttpProxyAgent();\n\
                   const all = await Promise.all([1, 2, 3].map(n => fetch(`https://up.example.test/echo/${n}`, { dispatcher })));\n\
                   if (!all.every(r => r.status === 200)) throw new Error(all.map(r => r.status).join());\n";
    node(&world, &[], program).await;
    injected(&up);
    assert_eq!(up.requests().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn node_by_itself_where_it_knows_proxies() {
    let version = Command::new("node").args(["-p", "process.versions.node"]).output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    let numbers: Vec<u32> = version.trim().split('.').map(|number| number.parse().unwrap()).collect();
    if numbers < vec![22, 21, 0] {
        eprintln!("not shown here: node {} has no NODE_USE_ENV_PROXY", version.trim());
        return;
    }
    let up = Upstream::both().await;
    let world = World::usual(&up).await;
    let program =
        "const r = await fetch('https://up.example.test/echo'); if (r.status !== 200) throw new Error(r.status);\n";
    node(&world, &[], program).await;
    injected(&up);
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_websocket_client_echoes() {
    let up = Upstream::both().await;
    let world = World::usual(&up).await;
    let program = "import { WebSocket } from 'ws';\n\
                   import { HttpsProxyAgent } from 'https-proxy-agent';\n\
                   const agent = new HttpsProxyAgent(process.env.HTTPS_PROXY);\n\
                   const s = new WebSocket('wss://up.example.test/ws', { agent });\n\
                   s.on('open', () => s.send('hello'));\n\
                   s.on('message', m => { if (String(m) !== 'hello') throw new Error(m); s.close(); });\n\
                   s.on('close', () => process.exit(0));\n\
                   s.on('error', e => { console.error(e); process.exit(1); });\n";
    node(&world, &[], program).await;
    injected(&up);
}

#[tokio::test(flavor = "multi_thread")]
async fn pythons_websocket_client_echoes() {
    let up = Upstream::both().await;
    let world = World::usual(&up).await;
    let program = "import asyncio, websockets\n\
                   async def main():\n\
                   \x20 async with websockets.connect('wss://up.example.test/ws') as s:\n\
                   \x20   await s.send('hello'); assert await s.recv() == 'hello'\n\
                   asyncio.run(main())";
    python(&world, program).await;
    injected(&up);
}

#[tokio::test(flavor = "multi_thread")]
async fn openssl_finds_a_chain_that_verifies() {
    let up = Upstream::both().await;
    let world = World::usual(&up).await;
    let session = world.session("openssl").await;
    let (login, proxy) = session.proxy();
    let (user, secret) = login.split_once(':').unwrap();
    let output = Command::new("openssl")
        .args(["s_client", "-proxy", proxy, "-proxy_user", user, "-proxy_pass", &format!("pass:{secret}")])
        .args(["-connect", "up.example.test:443", "-servername", UP, "-verify_return_error", "-x509_strict"])
        .args(["-verify_hostname", UP, "-CAfile", world.ca_file().to_str().unwrap()])
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
}
