-- Whether an account may follow `circle:<id>`.
create or replace function circles.may_read_circle_topic(account uuid, id text) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select exists (select from circles.circle c
        where c.id = platform.uuid_of(may_read_circle_topic.id) and circles.may_read_circle(account, c))
        and exists (select from identity.account a where a.id = account and a.status = 'active')
$$;
