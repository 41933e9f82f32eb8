-- Whether an account may follow `claw:<id>`: its owner and the claw itself.
create or replace function claws.may_read_topic(account uuid, id text) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select exists (select from claws.claw c
        where c.id = platform.uuid_of(may_read_topic.id) and account in (c.id, c.owner_id))
        and exists (select from identity.account a where a.id = account and a.status = 'active')
$$;
