//! A store that does what it is asked while its answers are lost, and what is waited for.

use super::*;

fn head(letter: &str) -> Option<Sha> {
    Sha::new(letter.repeat(40)).ok()
}

#[tokio::test]
async fn a_reservation_is_not_known_because_one_before_was() {
    let bench = Bench::new();
    let work = hold(&bench.keeper, bench.wish(7, Wait::No), async |lease| {
        lease.reserve().await?;
        bench.store.mood(Mood::Unheard);
        lease.give_back(Release::Free);
        bench.store.until_renewed(2).await;
        assert_eq!(bench.given_back().await, Release::Free, "it was told, and nobody heard");
        bench.store.mood(Mood::Well);
        lease.reserve().await?;
        assert_eq!(bench.given_back().await, Release::Reserve, "it was said to know");
        Ok(())
    });
    work.await.unwrap();
}

#[tokio::test]
async fn a_job_that_does_not_know_whether_prod_was_freed_is_not_done() {
    let bench = Bench::new();
    let work = hold(&bench.keeper, bench.wish(7, Wait::No), async |lease| {
        bench.store.mood(Mood::Unheard);
        lease.give_back(Release::Reserve);
        bench.store.until_renewed(1).await;
        bench.store.mood(Mood::Away);
        lease.give_back(Release::Free);
        Ok(())
    });
    let story = async {
        bench.clock.sleepers(1).await;
        bench.clock.advance(seconds(200)).await;
    };
    let (result, ()) = tokio::join!(work, story);
    assert!(
        matches!(&result, Err(Stop::Interrupted(why)) if why.contains("stays reserved")),
        "{result:?}"
    );
}

#[tokio::test]
async fn what_was_granted_without_an_answer_is_taken_back_by_who_leaves() {
    let bench = Bench::new();
    bench.store.mood(Mood::Unheard);
    let at_once = hold(&bench.keeper, bench.wish(7, Wait::No), async |_| Ok(())).await;
    assert!(matches!(at_once, Err(Stop::Later { .. })), "{at_once:?}");
    assert_eq!(bench.standing().await, [Standing::Held], "it was granted");
    bench.store.mood(Mood::Well);
    bench.clock.advance(seconds(1)).await;
    assert_eq!(bench.standing().await, []);

    bench.store.mood(Mood::Unheard);
    let waiting = hold(&bench.keeper, bench.wish(7, PATIENT), async |_| Ok(()));
    let (stopped, ()) = tokio::join!(waiting, async {
        bench.clock.sleepers(1).await;
        bench.cancel.cancel();
    });
    assert!(matches!(stopped, Err(Stop::Interrupted(_))), "{stopped:?}");
    bench.store.mood(Mood::Well);
    bench.clock.advance(seconds(1)).await;
    assert_eq!(bench.standing().await, []);
}

#[tokio::test]
async fn a_question_without_an_answer_is_asked_again_soon() {
    let bench = Bench::new();
    bench.store.mood(Mood::Unheard);
    let waiting = hold(&bench.keeper, bench.wish(7, PATIENT), async |_| Ok(()));
    let story = async {
        bench.clock.sleepers(1).await;
        bench.store.mood(Mood::Well);
        bench.clock.advance(seconds(1)).await;
        assert_eq!(bench.diary().len(), 2, "it had prod, and gave it back");
        bench.clock.advance(seconds(60)).await;
    };
    tokio::join!(waiting, story).0.unwrap();
}

#[tokio::test]
async fn a_reservation_is_for_the_head_that_reserved() {
    let bench = Bench::new();
    let kept_for = async || bench.store.inspect(&project()).await.unwrap().remove(0).kept_for;
    let of = |letter| Wish { head: head(letter), ..bench.wish(7, Wait::No) };
    hold(&bench.keeper, of("a"), async |lease| {
        assert_eq!(lease.was_kept_for(), None);
        lease.reserve().await
    })
    .await
    .unwrap();
    hold(&bench.keeper, of("b"), async |lease| {
        assert_eq!(lease.was_kept_for(), head("a").as_ref());
        bench.clock.advance(seconds(10)).await;
        assert_eq!(kept_for().await, head("a"), "a newer head has prod, and applied nothing");
        lease.reserve().await?;
        assert_eq!(kept_for().await, head("b"));
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(kept_for().await, head("b"));
}
