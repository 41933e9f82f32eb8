-- The scopes of an agent that an account makes by a token which holds these, as `circles.seat` has them: no others; null if the
-- token holds all that the account has.
create or replace function circles.scopes_lent(account uuid, held text[]) returns text[]
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select case when not ('admin:all' = any(held) or string_to_array(identity.scopes_of(account), ' ') <@ held) then held end
$$;
