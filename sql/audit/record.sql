-- Adds an entry, in the transaction of the change that it records.
create or replace function audit.record(actor uuid, action text, subject text, allowed boolean,
    address text, request_id text, detail jsonb default '{}') returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    head audit.chain;
    entry audit.entry;
    any_chain smallint;
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
        record.allowed, left(record.address, 64), left(record.request_id, 128),
        coalesce(record.detail, '{}'), head.id, head.length + 1, null);
    entry.hash := audit.digest(head.hash, entry);
    insert into audit.entry values (entry.*);
    update audit.chain c set length = entry.position, hash = entry.hash where c.id = head.id;
end
$$;
grant execute on function audit.record to gather_identity, gather_people, gather_accounts;
