-- Registers that a finder finds a kind of things. A schema's finder has this form, and its own file registers it:
--
--   <schema>.search(reader uuid, query text, kinds text[], most integer)
--   returns table (kind text, id text, title text, snippet text, url text, rank real, created_at timestamptz)
--
-- It runs with its owner's rights and returns only what `reader` may read; null is a visitor who is not signed in.
-- `query` is folded, and `rank` on the scale of `search.rank`. It answers the `most` best of all `kinds` together.
--
-- What can also be found by its meaning has a second finder:
--
--   <schema>.meant(reader uuid, query text, model text, meaning text, also text[], most integer)
--   returns table (kind text, id text, title text, snippet text, url text, created_at timestamptz, rank real,
--       semantic double precision)
--
-- It answers those of `also` that are near the meaning, and the `most` nearest, with the nearness from 0 to 1; and with the
-- rank of those that have all words of the query. `meaning` is a vector of the model.
--
-- A kind whose vectors `search.vector` has tells their texts, of those that are shown:
--
--   <schema>.texts(ids uuid[]) returns table (id uuid, content text)
--
-- Triggers on its table call `search.follow` and `search.forget`. If a `scope` is given, callers without it find nothing of the kind.
create or replace function search.register(
    kind text, finder text, meant text default null, texts text default null, scope text default null
) returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
    wanted text;
begin
    foreach wanted in array array[register.finder || '(uuid, text, text[], integer)',
        register.meant || '(uuid, text, text, text, text[], integer)', register.texts || '(uuid[])']
    loop
        if to_regprocedure(wanted) is null and wanted is not null then
            raise exception 'there is no function %', wanted;
        end if;
    end loop;
    insert into search.source (kind, finder, meant, texts, scope)
    values (register.kind, register.finder, register.meant, register.texts, register.scope)
    on conflict on constraint source_pkey do update set finder = excluded.finder, meant = excluded.meant,
        texts = excluded.texts, scope = excluded.scope;
end
$$;
