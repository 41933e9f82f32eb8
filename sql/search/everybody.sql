-- The place of texts that everybody may read.
create or replace function search.everybody() returns uuid
language sql immutable parallel safe
as $$
    select '00000000-0000-0000-0000-000000000000'::uuid
$$;
