-- The catalogue's search: words in any form, with swapped letters, or alike. And what a tool may do, for MCP's hints.

-- What the search knows of a version, by weight: the name, description and tags, the tools, the readme. Name and tags
-- are kept as they are written and by their stems, so that an exact word is found and another form of it, too.
create function skills.search_document(manifest jsonb, tools jsonb) returns tsvector
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select setweight(to_tsvector('simple', n.text) || to_tsvector('english', n.text), 'A')
        || setweight(to_tsvector('english', coalesce(manifest ->> 'description', '')), 'B')
        || setweight(to_tsvector('simple', t.text) || to_tsvector('english', t.text), 'B')
        || setweight(to_tsvector('english', coalesce(
            (select string_agg(concat_ws(' ', translate(e ->> 'name', '.', ' '), e ->> 'description'), ' ')
             from jsonb_array_elements(tools) e), '')), 'C')
        || setweight(to_tsvector('english', left(coalesce(manifest ->> 'readme', ''), 20000)), 'D')
    from (select replace(coalesce(manifest ->> 'name', ''), '-', ' ') as text) n,
        (select coalesce(string_agg(tag, ' '), '') as text
         from jsonb_array_elements_text(manifest -> 'tags') tag) t
$$;

-- The words that misspelt ones are compared with: name, description, tags and the tools' names.
create function skills.search_words(manifest jsonb, tools jsonb) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select lower(concat_ws(' ', manifest ->> 'name', replace(manifest ->> 'name', '-', ' '),
        manifest ->> 'description',
        (select string_agg(tag, ' ') from jsonb_array_elements_text(manifest -> 'tags') tag),
        (select string_agg(translate(e ->> 'name', '.-', '  '), ' ') from jsonb_array_elements(tools) e)))
$$;

create or replace function skills.choose_latest(skill uuid) returns void
language sql
as $$
    -- Who chooses at the same time waits here, and then sees what was decided.
    select from skills.skill s where s.id = choose_latest.skill for update;
    update skills.skill s
    set latest_id = l.id,
        description = coalesce(l.manifest ->> 'description', ''),
        tags = coalesce(array(select jsonb_array_elements_text(l.manifest -> 'tags')), '{}'),
        updated_at = now(),
        words = coalesce(skills.search_words(l.manifest, l.tools), ''),
        document = coalesce(skills.search_document(l.manifest, l.tools), '')
    from (select 1) one
    left join lateral (
        select v.* from skills.version v
        where v.skill_id = choose_latest.skill and v.status = 'approved'
        order by v.is_prerelease, v.precedence desc limit 1
    ) l on true
    where s.id = choose_latest.skill
$$;

update skills.skill s
set words = skills.search_words(v.manifest, v.tools), document = skills.search_document(v.manifest, v.tools)
from skills.version v where v.id = s.latest_id;

-- A word as it is written, and with each two neighbours among its letters swapped. Trigrams can't do it: `wrod` and
-- `word` share but one.
create function skills.spellings(word text) returns tsquery
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select to_tsquery('english', string_agg(distinct s.word, ' | '))
    from (
        select spellings.word
        union all
        select left(spellings.word, n - 1) || substr(spellings.word, n + 1, 1) || substr(spellings.word, n, 1)
            || substr(spellings.word, n + 2)
        from generate_series(1, char_length(spellings.word) - 1) n
        where char_length(spellings.word) between 3 and 24
    ) s (word)
$$;

-- The words of a query that say something, without signs that a tsquery has a meaning for: 12 at most.
create function skills.query_words(query text) returns setof text
language sql immutable rows 4
set search_path = pg_catalog, pg_temp
as $$
    select distinct w.word
    from regexp_split_to_table(lower(query_words.query), '[[:space:][:punct:]$+<=>^`|~\\]+') w (word)
    where w.word <> '' and to_tsvector('english', w.word) <> ''
    limit 12
$$;

-- Whether a query means its words as they are written: there are quotes in it, or a minus before a word.
create function skills.is_literal(query text) returns boolean
language sql immutable
as $$
    select is_literal.query ~ '"|(^|\s)-\S'
$$;

-- A query as it is written: its words by their stems, those that have none (such as `the`, in a name) as they are. A
-- word behind a minus is always taken by its stem: by its letters alone it would hardly ever be there.
create function skills.search_query(query text) returns tsquery
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select case
        when skills.is_literal(search_query.query) then websearch_to_tsquery('english', search_query.query)
        else websearch_to_tsquery('english', search_query.query) || websearch_to_tsquery('simple', search_query.query)
    end
$$;

-- The skills that a query finds, the 1,000 that fit best. Relevance is in steps, and within each by the place and
-- number of the words:
--   3  the query is the name
--   2  the words, as they are written or in another form
--   1  every word, some with two letters swapped
--   0  words that look alike (trigrams): each one, or all of them as one text. The threshold is lower than the
--      extension's own, so that two letters may be wrong.
-- What stands in quotes or behind a minus is meant as it is written, so nothing is guessed then.
create or replace function skills.matching(query text) returns table (id uuid, relevance double precision)
language sql stable security definer
set search_path = pg_catalog, trigram, pg_temp
set pg_trgm.word_similarity_threshold = '0.45'
-- It takes longer to compile the statement than to run it.
set jit = off
as $$
    with word as materialized (
        select w.word, skills.spellings(w.word) as spellings from skills.query_words(matching.query) w (word)
        where not skills.is_literal(matching.query)
    ), alike as materialized (
        select f.id, bool_and(f.is_spelt) as is_spelt, avg(f.similarity) as similarity
        from word w cross join lateral (
            select s.id, s.document @@ w.spellings as is_spelt, word_similarity(w.word, s.words) as similarity
            from skills.skill s
            where s.latest_id is not null and (s.document @@ w.spellings or w.word <% s.words)
        ) f
        group by f.id
        having count(*) = (select count(*) from word)
    ), candidate as (
        select s.id from skills.skill s
        where s.latest_id is not null and s.document @@ skills.search_query(matching.query)
        union
        select s.id from skills.skill s
        where s.latest_id is not null and lower(matching.query) <% s.words and exists (select from word offset 1)
        union
        select a.id from alike a
    )
    select s.id, round((
        case
            when s.name = replace(lower(btrim(matching.query)), ' ', '-') then 3
            when s.document @@ q.query then 2
            when a.is_spelt then 1
            else 0
        end
        + least(0.9999, (ts_rank(s.document, q.query)
            + greatest(a.similarity, word_similarity(lower(matching.query), s.words))) / 2)
        )::numeric, 4)::double precision as relevance
    from candidate c
    join skills.skill s on s.id = c.id
    left join alike a on a.id = c.id
    cross join lateral (select skills.search_query(matching.query) as query) q
    order by relevance desc, s.rank desc, s.id desc limit 1000
$$;

-- The tools of what anybody may call, with what their skill may do beyond computing.
create or replace view skills.callable_tool as
select s.id as skill_id, s.name as skill, s.rank, v.id as version_id, v.version, v.digest,
    t.value ->> 'name' as tool, t.value ->> 'description' as description,
    t.value -> 'input_schema' as input_schema, t.value -> 'output_schema' as output_schema,
    v.manifest ->> 'description' as skill_description,
    v.manifest -> 'permissions' as permissions
from skills.skill s
join skills.version v on v.id = s.latest_id
cross join lateral jsonb_array_elements(v.tools) t;

grant execute on function skills.search_document(jsonb, jsonb), skills.search_words(jsonb, jsonb) to gather_skills;
