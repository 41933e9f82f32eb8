-- The measures of webhooks, in the form of `jobs.measures`.
create or replace function webhooks.measures() returns setof jobs.measure
language sql stable
as $$
    select 'gather_webhook_attempts_total', 'Attempts at deliveries of webhooks by result.', true, 'result', r.result,
        coalesce(sum(c.count), 0)::double precision
    from unnest(array['delivered', 'refused', 'gone', 'unanswered']) r (result)
    left join webhooks.attempt_count c on c.result = r.result
    group by r.result
    union all
    select 'gather_webhook_oldest_seconds', 'Age of the oldest delivery of a webhook that waits.', false, null, null,
        coalesce(greatest(0, extract(epoch from now() - min(j.created_at))), 0)::double precision
    from jobs.job j where j.kind = 'webhook-delivery' and j.finished_at is null
    union all
    select 'gather_webhooks_disabled', 'Webhooks that are disabled.', false, null, null, count(*)::double precision
    from webhooks.webhook w where w.disabled is not null
$$;
