use sluice::job::*;
use sluice::names::*;
pub async fn town_producer(
    deps: &sluice::pipeline::Deps,
    _s: &str,
    stop: &tokio_util::sync::CancellationToken,
) -> (String, tokio::task::JoinHandle<()>) {
    let l = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/webhooks/github", l.local_addr().unwrap());
    let queue = deps.queue.clone();
    let app = axum::Router::new().route(
        "/webhooks/github",
        axum::routing::post(move |h: axum::http::HeaderMap, b: String| {
            let queue = queue.clone();
            async move {
                let ev = h["x-github-event"].to_str().unwrap().to_owned();
                let id = h["x-github-delivery"].to_str().unwrap().to_owned();
                let v: serde_json::Value = serde_json::from_str(&b).unwrap();
                let project = ProjectName::new("warehouse").unwrap();
                let act = v["action"].as_str().unwrap_or("").to_owned();
                let job = match (ev.as_str(), act.as_str()) {
                    ("pull_request", "closed") => Some(Job::Cleanup(Cleanup {
                        project,
                        pr: PrNumber(v["number"].as_u64().unwrap()),
                    })),
                    (
                        "pull_request",
                        "opened" | "synchronize" | "reopened" | "ready_for_review",
                    ) => Some(Job::GateCheck(GateCheck {
                        project,
                        pr: PrNumber(v["number"].as_u64().unwrap()),
                        scope: Scope::Approval,
                        head: None,
                        refresh: Refresh::No,
                    })),
                    ("pull_request_review", _) => Some(Job::GateCheck(GateCheck {
                        project,
                        pr: PrNumber(v["pull_request"]["number"].as_u64().unwrap()),
                        scope: Scope::Approval,
                        head: None,
                        refresh: Refresh::No,
                    })),
                    ("issue_comment", "created")
                        if v["comment"]["body"].as_str().unwrap().ends_with("/deploy") =>
                    {
                        Some(Job::Command(Command {
                            project,
                            pr: PrNumber(v["issue"]["number"].as_u64().unwrap()),
                            comment: NodeId::new(v["comment"]["node_id"].as_str().unwrap())
                                .unwrap(),
                        }))
                    }
                    _ => None,
                };
                if let Some(job) = job {
                    let now = sluice::clock::unix_ms(std::time::SystemTime::now());
                    queue.publish(&Envelope::new(job, &id, now)).await.unwrap();
                }
                "ok"
            }
        }),
    );
    let stop = stop.clone();
    (
        url,
        tokio::spawn(async move {
            axum::serve(l, app).with_graceful_shutdown(stop.cancelled_owned()).await.unwrap();
        }),
    )
}
