-- Letters that Unicode does not decompose are indexed as two (œ as oe): words of messages that are indexed already are
-- added in that form. They go with their message, as the others do.
INSERT INTO search_words (word, n)
SELECT SUBSTR(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(word,
    'œ', 'oe'), 'æ', 'ae'), 'ø', 'o'), 'ł', 'l'), 'đ', 'd'), 'ð', 'd'), 'þ', 'th'), 'ħ', 'h'), 'ŧ', 't'), 'ŋ', 'ng'),
    'ı', 'i'), 1, 40), n
FROM search_words
WHERE word LIKE '%œ%' OR word LIKE '%æ%' OR word LIKE '%ø%' OR word LIKE '%ł%' OR word LIKE '%đ%' OR word LIKE '%ð%'
   OR word LIKE '%þ%' OR word LIKE '%ħ%' OR word LIKE '%ŧ%' OR word LIKE '%ŋ%' OR word LIKE '%ı%'
ON CONFLICT (word, n) DO NOTHING;
