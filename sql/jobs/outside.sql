-- The mail server, in the form of `platform.outside`. A mail whose last attempt failed counts as failed.
create or replace function jobs.outside() returns table (service text, detail jsonb)
language sql stable
as $$
    select 'mail', jsonb_build_object('calls', count(*), 'failures', count(*) filter (where m.status in ('failed', 'dead')),
        'last_call_at', max(m.started_at))
    from (select j.status, j.started_at from jobs.job j where j.kind = 'mail-delivery' order by j.id desc limit 500) m
    where m.started_at > now() - interval '1 hour'
    having count(*) > 0
$$;
