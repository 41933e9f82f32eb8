-- Whether an account may follow `turn:<id>`.
create or replace function circles.may_read_turn_topic(account uuid, id text) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select exists (select from circles.turn t
        where t.id = platform.uuid_of(may_read_turn_topic.id) and circles.may_read_turn(account, t))
        and exists (select from identity.account a where a.id = account and a.status = 'active')
$$;
