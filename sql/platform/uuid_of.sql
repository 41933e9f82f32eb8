-- The UUID of a text, or null. For identifiers from outside, for which a cast would raise.
create or replace function platform.uuid_of(text text) returns uuid
language sql immutable strict parallel safe
as $$
    select case when text ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then text::uuid end
$$;
