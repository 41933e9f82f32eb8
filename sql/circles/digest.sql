-- The digest of a definition, which does not depend on the order of its fields.
create or replace function circles.digest(definition jsonb) returns text
language sql immutable
as $$
    select 'sha256:' || encode(sha256(convert_to(definition::text, 'UTF8')), 'hex')
$$;
