-- The format in which a protocol writes a key, with `{}` for the key.
create or replace function llm.key_format(protocol text) returns text
language sql immutable
as $$
    select case protocol when 'anthropic' then '{}' else 'Bearer {}' end
$$;
