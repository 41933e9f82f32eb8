-- The header in which a protocol sends a key.
create or replace function llm.key_header(protocol text) returns text
language sql immutable
as $$
    select case protocol when 'anthropic' then 'x-api-key' else 'authorization' end
$$;
