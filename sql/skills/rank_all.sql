-- Computes every skill's rank: 0.35 quality + 0.25 reach + 0.25 rating + 0.15 freshness, each 0 to 1.
--   quality    the quality that the review of the newest approved version attested
--   reach      ln(1 + w) / ln(1001), at most 1, where w adds up the weights of the accounts, the owner aside,
--              that called the skill within 30 days
--   rating     the mean of the ratings by accounts that have called the skill, weighted, with a prior of
--              five votes of 3.5 (a Bayesian average), from 1..5 to 0..1
--   freshness  halves with every 180 days since the newest approved version
-- Rounded to four digits, with age in days: most ranks stay as they are from one time to the next, and so do
-- the pages that are read meanwhile.
-- An account's weight grows with its age to 1 at 30 days, and with the number of authors whose skills it
-- calls: a third for one, all for three. So many calls count like one, new accounts count for little,
-- and accounts that exist for one author count for a third at most.
create or replace function skills.rank_all() returns bigint
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    with recent as (
        select u.skill_id, u.account_id, sum(u.calls) as calls
        from skills.usage u where u.day > current_date - 30 group by u.skill_id, u.account_id
    ), weight as (
        select a.id as account_id,
            least(1, extract(epoch from now() - a.created_at) / (30 * 86400))
            * least(1, count(distinct s.owner_id) filter (where s.owner_id <> a.id) / 3.0) as weight
        from recent r
        join identity.account a on a.id = r.account_id
        join skills.skill s on s.id = r.skill_id
        group by a.id, a.created_at
    ), reach as (
        select r.skill_id, sum(r.calls) as calls, count(*) as users, sum(w.weight) as weight
        from recent r join weight w using (account_id)
        join skills.skill s on s.id = r.skill_id and s.owner_id <> r.account_id
        group by r.skill_id
    ), rated as (
        select t.skill_id, count(*) as ratings, avg(t.rating) as mean,
            coalesce(sum(w.weight * t.rating) filter (where r.account_id is not null), 0) as total,
            coalesce(sum(w.weight) filter (where r.account_id is not null), 0) as weight
        from skills.rating t
        join skills.skill s on s.id = t.skill_id and s.owner_id <> t.account_id
        left join recent r on r.skill_id = t.skill_id and r.account_id = t.account_id
        left join weight w on w.account_id = t.account_id
        group by t.skill_id
    ), ranked as (
        select s.id, round((
            0.35 * coalesce(v.quality, 0)
            + 0.25 * least(1, ln(1 + coalesce(c.weight, 0)) / ln(1001))
            + 0.25 * ((5 * 3.5 + coalesce(t.total, 0)) / (5 + coalesce(t.weight, 0)) - 1) / 4
            + 0.15 * power(0.5, (current_date - v.created_at::date) / 180.0)
            )::numeric, 4)::double precision as rank,
            coalesce(c.calls, 0) as uses, coalesce(c.users, 0) as users, t.mean, coalesce(t.ratings, 0) as ratings
        from skills.skill s
        join skills.version v on v.id = s.latest_id
        left join reach c on c.skill_id = s.id
        left join rated t on t.skill_id = s.id
    ), changed as (
        update skills.skill s
        set rank = r.rank, uses_30d = r.uses, users_30d = r.users, rating = r.mean, ratings = r.ratings
        from ranked r
        where r.id = s.id
        and (s.rank, s.uses_30d, s.users_30d, s.rating, s.ratings)
            is distinct from (r.rank, r.uses, r.users, r.mean, r.ratings)
        returning 1
    )
    select count(*) from changed
$$;
grant execute on function skills.rank_all to gather_skill_rank;
