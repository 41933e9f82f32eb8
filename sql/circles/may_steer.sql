-- Whether who holds these scopes may say what an agent thinks with: its persona, and the tools of it. They have to be all
-- that the agent may use of its owner's, or a narrow credential would act through it with others.
create or replace function circles.may_steer(s circles.seat, held text[]) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select coalesce('admin:all' = any (held), false) or not exists (
        select from unnest(string_to_array(identity.scopes_of(s.owner_id), ' ')) o
        where (s.scopes is null or o = any (s.scopes)) and o <> all (coalesce(held, '{}')))
$$;
