-- The receivers of webhooks, in the form of `platform.outside`: as numbers, since their addresses are their owners'.
create or replace function webhooks.outside() returns table (service text, detail jsonb)
language sql stable
as $$
    select 'webhooks', jsonb_build_object('calls', count(*), 'failures', count(*) filter (where d.state <> 'delivered'),
        'last_call_at', max(d.attempted_at), 'receivers', count(distinct d.webhook_id),
        'failing_receivers', count(distinct d.webhook_id)
            filter (where w.failing_since is not null or w.disabled is not null))
    from (select l.webhook_id, l.state, l.attempted_at from webhooks.delivery l order by l.id desc limit 500) d
    join webhooks.webhook w on w.id = d.webhook_id
    where d.attempted_at > now() - interval '1 hour'
    having count(*) > 0
$$;
