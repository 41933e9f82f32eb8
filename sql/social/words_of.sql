-- The folded text by which a post is found: a line of its title, a line of its tags, then its text. Fields that
-- `change` lacks stay as they were.
create or replace function social.words_of(words text, tags text[], change jsonb) returns text
language sql immutable
as $$
    select coalesce(change ->> 'title_words', split_part(words, E'\n', 1)) || E'\n' || array_to_string(tags, ' ')
        || E'\n' || coalesce(change ->> 'words', regexp_replace(words, '^[^\n]*\n[^\n]*\n', ''))
$$;
