-- The providers of language models, in the form of `platform.outside`. Those of the platform have their names, and those
-- of accounts and teams count together.
create or replace function llm.outside() returns table (service text, detail jsonb)
language sql stable
as $$
    select coalesce('provider ' || p.name, 'other providers'), jsonb_build_object('calls', count(*),
        'failures', count(*) filter (where c.status in ('failed', 'cut', 'lost')), 'last_call_at', max(c.created_at),
        'latency_ms', round(avg(c.first_token_ms)))
    from (
        select l.provider_id, l.status, l.created_at, l.first_token_ms from llm.call l
        where l.created_at > now() - interval '1 hour' order by l.created_at desc limit 500
    ) c
    left join llm.provider p on p.id = c.provider_id and p.owner = 'platform'
    where c.provider_id is not null
    group by p.name
$$;
