-- Registers that a finder finds a kind of things. A schema's finder has this form, and its own file registers it:
--
--   <schema>.search(reader uuid, query text, kinds text[], most integer)
--   returns table (kind text, id text, title text, snippet text, url text, rank real, created_at timestamptz)
--
-- It runs with its owner's rights and returns only what `reader` may read; null is a visitor who is not signed in.
-- `query` is folded, and `rank` on the scale of `search.rank`. It answers the `most` best of all `kinds` together.
create or replace function search.register(kind text, finder text) returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
    if to_regprocedure(register.finder || '(uuid, text, text[], integer)') is null then
        raise exception 'there is no function %(uuid, text, text[], integer)', register.finder;
    end if;
    insert into search.source (kind, finder) values (register.kind, register.finder)
    on conflict on constraint source_pkey do update set finder = excluded.finder;
end
$$;
