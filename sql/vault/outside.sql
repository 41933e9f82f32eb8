-- What secrets were put into, in the form of `platform.outside`: as numbers, since the hosts are their owners'. A use that
-- was refused did not leave the platform.
create or replace function vault.outside() returns table (service text, detail jsonb)
language sql stable
as $$
    select 'egress', jsonb_build_object('calls', count(*), 'failures', count(*) filter (where u.status >= 500),
        'last_call_at', max(u.at))
    from (select l.at, l.status, l.refused from vault.use l order by l.id desc limit 500) u
    where u.at > now() - interval '1 hour' and u.refused is null
    having count(*) > 0
$$;
