//! Faults at random, each from outside, as a machine room makes them.

use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rand::RngExt as _;
use rand::rngs::StdRng;
use sluice::clock::{Clock as _, SystemClock};
use sluice_sim::faults::{Answer, Matching, MergeFault, WebhookFault};
use tokio_util::sync::CancellationToken;

use super::one;
use crate::hands::{GOES_ON, STANDS_STILL};
use crate::history::{self, Happened};
use crate::points::{Act, EFFECTS, WHENS};
use crate::town::{Seat, Services, Town};

/// Who makes them.
pub(super) struct Mischief {
    town: Arc<Town>,
    services: Arc<Services>,
    random: StdRng,
}

impl Mischief {
    pub(super) fn new(town: Arc<Town>, services: Arc<Services>, random: StdRng) -> Self {
        Self { town, services, random }
    }

    /// Makes one fault after the other until it is over, and leaves everything whole.
    pub(super) async fn run(mut self, over: &CancellationToken) -> anyhow::Result<()> {
        while !over.is_cancelled() {
            self.pause(300..4000).await;
            self.fault().await?;
        }
        for effect in EFFECTS {
            for when in WHENS {
                self.town.points.disarm(effect, when)?;
            }
        }
        Ok(())
    }

    async fn fault(&mut self) -> anyhow::Result<()> {
        match self.random.random_range(0..100) {
            0..20 => self.arms_a_point(),
            20..35 => self.kills_a_worker(),
            35..50 => self.stops_a_worker().await,
            50..60 => self.harms_a_bridge(),
            60..68 => self.restarts_redis().await,
            68..76 => self.silences_redis().await,
            76..80 => self.closes_connections().await,
            80..82 => self.restarts_the_broker().await,
            82..92 => self.spoils_webhooks().await,
            _ => self.spoils_github().await,
        }
    }

    fn arms_a_point(&mut self) -> anyhow::Result<()> {
        if let (Some(effect), Some(when)) =
            (one(&mut self.random, EFFECTS), one(&mut self.random, &WHENS))
        {
            self.town.points.arm(effect, *when, Act::Die, self.random.random_range(0..3))?;
        }
        Ok(())
    }

    fn seat(&mut self) -> Option<Arc<Seat>> {
        one(&mut self.random, &self.town.seats.all).cloned()
    }

    fn kills_a_worker(&mut self) -> anyhow::Result<()> {
        let Some(seat) = self.seat() else { return Ok(()) };
        self.town.tells(format!("a worker is killed: {}", seat.name));
        // It may have died by itself just now.
        drop(seat.with(|process| process.kill_alone()));
        Ok(())
    }

    async fn stops_a_worker(&mut self) -> anyhow::Result<()> {
        let Some(seat) = self.seat() else { return Ok(()) };
        self.town.tells(format!("{STANDS_STILL}{}", seat.name));
        drop(seat.with(|process| process.stop()));
        self.pause(200..7000).await;
        drop(seat.with(|process| process.go_on()));
        self.town.tells_end(format!("{GOES_ON}{}", seat.name));
        Ok(())
    }

    fn harms_a_bridge(&mut self) -> anyhow::Result<()> {
        let lines = history::read(self.town.folder())?;
        let bridges = lines.iter().rev().take(200).filter_map(|line| match &line.what {
            Happened::BridgeStarted { bridge, .. } => i32::try_from(*bridge).ok(),
            _ => None,
        });
        let living: Vec<i32> =
            bridges.filter(|pid| kill(Pid::from_raw(*pid), None).is_ok()).collect();
        let Some(pid) = one(&mut self.random, &living) else { return Ok(()) };
        let signal =
            *one(&mut self.random, &[Signal::SIGKILL, Signal::SIGSTOP]).unwrap_or(&Signal::SIGKILL);
        self.town.tells(format!("a bridge is harmed: {pid} {signal}"));
        // It may have ended by itself just now.
        match kill(Pid::from_raw(*pid), signal) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn restarts_redis(&mut self) -> anyhow::Result<()> {
        let empty = self.random.random_bool(0.5);
        self.town.tells(if empty { "Redis is emptied" } else { "Redis is killed" });
        let restarting = self.services.redis(move |redis| {
            redis.kill()?;
            if empty {
                redis.empty()?;
            }
            redis.start()
        });
        restarting.await
    }

    async fn silences_redis(&mut self) -> anyhow::Result<()> {
        self.town.tells("Redis is silent");
        self.services.redis(|redis| redis.process()?.stop()).await?;
        self.pause(200..3000).await;
        self.services.redis(|redis| redis.process()?.go_on()).await?;
        self.town.tells_end("Redis answers again");
        Ok(())
    }

    async fn closes_connections(&mut self) -> anyhow::Result<()> {
        self.town.tells("the broker closes every connection");
        let closing =
            self.services.broker(|broker| broker.control(&["close_all_connections", "chaos"]));
        closing.await.map(drop)
    }

    async fn restarts_the_broker(&mut self) -> anyhow::Result<()> {
        self.town.tells("the broker is killed");
        let restarting = self.services.broker(|broker| {
            broker.kill()?;
            broker.start()
        });
        restarting.await
    }

    async fn spoils_webhooks(&mut self) -> anyhow::Result<()> {
        let kinds = [
            WebhookFault::Drop,
            WebhookFault::Duplicate,
            WebhookFault::Delay(Duration::from_millis(self.random.random_range(1..2000))),
        ];
        let faults: Vec<_> =
            (0..5).filter_map(|_| one(&mut self.random, &kinds)).copied().collect();
        self.town.tells("webhooks are spoiled");
        self.town.spoils(move |all| all.webhooks.extend(faults)).await
    }

    async fn spoils_github(&mut self) -> anyhow::Result<()> {
        let merge = [MergeFault::BaseModified, MergeFault::HeadModified, MergeFault::NotMergeable];
        let answers = [
            Answer::Status(502),
            Answer::StatusAfterEffect(500),
            Answer::RateLimited { status: 429, retry_after: Some(Duration::from_secs(1)) },
            Answer::Slow(Duration::from_millis(self.random.random_range(1..2000))),
        ];
        let merge = one(&mut self.random, &merge).copied();
        let answer = one(&mut self.random, &answers).copied();
        self.town.tells("GitHub is spoiled");
        let spoil = move |all: &mut sluice_sim::faults::Faults| {
            all.merges.extend(merge);
            if let Some(answer) = answer {
                all.answer(Matching::Any, 3, answer);
            }
        };
        self.town.spoils(spoil).await
    }

    async fn pause(&mut self, ms: std::ops::Range<u64>) {
        SystemClock.sleep(Duration::from_millis(self.random.random_range(ms))).await;
    }
}
