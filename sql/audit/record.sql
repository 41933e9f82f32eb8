-- Adds an entry, in the transaction of the change that it records.
--   request_id   in a second line it may have the component that acts for the actor, which `detail` then has as `act`
create or replace function audit.record(actor uuid, action text, subject text, allowed boolean,
    address text, request_id text, detail jsonb default '{}') returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    head audit.chain;
    entry audit.entry;
    any_chain smallint;
    act text := split_part(record.request_id, E'\n', 2);
begin
    -- The chain that this transaction already holds, or any chain that is free at this moment.
    select * into head from audit.chain c
    where c.id = nullif(current_setting('audit.chain', true), '')::smallint for update;
    if not found then
        select * into head from audit.chain c order by random() limit 1 for update skip locked;
    end if;
    if not found then
        any_chain := floor(random() * 16);
        select * into head from audit.chain c where c.id = any_chain for update;
    end if;
    perform set_config('audit.chain', head.id::text, true);
    entry := (platform.uuid_v7(), clock_timestamp(), record.actor, record.action, left(record.subject, 200),
        record.allowed, left(record.address, 64), left(split_part(record.request_id, E'\n', 1), 128),
        coalesce(record.detail, '{}') || case when act <> '' then jsonb_build_object('act', act) else '{}' end, head.id, head.length + 1, null);
    entry.hash := audit.digest(head.hash, entry);
    insert into audit.entry values (entry.*);
    update audit.chain c set length = entry.position, hash = entry.hash where c.id = head.id;
end
$$;
grant execute on function audit.record to gather_identity, gather_people, gather_accounts;
